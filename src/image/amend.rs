//! A configuration made from another one: what `commit`, `import` and `build` do to it. What this program does not know of a
//! configuration is kept as it was.

use serde_json::{Map, Value, json};

use super::change::{Change, Command};
use super::manifest::MAX_LAYERS;
use super::{Config, Digest, Error, Healthcheck, Platform};

/// A configuration that is being made.
#[derive(Clone, Debug)]
pub struct Amended {
    root: Map<String, Value>,
    cmd_set: bool,
}

/// What is told of how an image came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// RFC 3339.
    pub created: String,
    /// The command line that made it.
    pub created_by: String,
    /// Who.
    pub author: String,
    /// Why.
    pub comment: String,
}

impl Amended {
    /// Begins with an image's configuration.
    ///
    /// # Errors
    /// Those of [`Config::parse`].
    pub fn from(config: &[u8]) -> Result<Self, Error> {
        Config::parse(config)?;
        let what = "image configuration";
        let root = serde_json::from_slice(config).map_err(|source| Error::Json { what, source })?;
        Ok(Self { root, cmd_set: false })
    }

    /// Begins with nothing.
    pub fn empty(platform: &Platform) -> Self {
        let mut root = Map::new();
        root.insert("os".into(), platform.os.clone().into());
        root.insert("architecture".into(), platform.architecture.clone().into());
        if let Some(variant) = &platform.variant {
            root.insert("variant".into(), variant.clone().into());
        }
        root.insert("config".into(), json!({}));
        root.insert("rootfs".into(), json!({"type": "layers", "diff_ids": []}));
        Self { root, cmd_set: false }
    }

    /// The object `key`, made where it is missing or no object.
    fn object<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
        let value = parent.entry(key).or_insert_with(|| json!({}));
        if !value.is_object() {
            *value = json!({});
        }
        match value {
            Value::Object(object) => object,
            _ => unreachable!("it has just been made one"),
        }
    }

    fn list<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
        let value = parent.entry(key).or_insert_with(|| json!([]));
        if !value.is_array() {
            *value = json!([]);
        }
        match value {
            Value::Array(list) => list,
            _ => unreachable!("it has just been made one"),
        }
    }

    /// The part that is about running a command.
    pub fn execution(&mut self) -> &mut Map<String, Value> {
        Self::object(&mut self.root, "config")
    }

    /// Sets a field of that part; what is empty is left out.
    pub fn set(&mut self, key: &str, value: Value) {
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            _ => false,
        };
        if empty {
            self.execution().remove(key)
        } else {
            self.execution().insert(key.to_owned(), value)
        };
    }

    /// The variables that it sets.
    pub fn environment(&self) -> Vec<String> {
        let list = self.root.get("config").and_then(|config| config.get("Env")).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|variable| variable.as_str().map(str::to_owned)).collect()
    }

    /// Carries instructions out, one after another.
    ///
    /// # Errors
    /// [`Error::Change`] for the first that is wrong.
    pub fn apply_all<'a>(&mut self, changes: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        for text in changes {
            let change = Change::parse(text, &self.environment())?;
            self.apply(change);
        }
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Cmd(command) => {
                self.cmd_set = true;
                let command = self.command(command);
                self.set("Cmd", command);
            }
            Change::Entrypoint(command) => {
                let command = self.command(command);
                self.set("Entrypoint", command);
                // A command that belonged to another entrypoint means nothing to this one.
                if !self.cmd_set {
                    self.set("Cmd", Value::Null);
                }
            }
            Change::Env(pairs) => {
                let mut environment = self.environment();
                for (key, value) in pairs {
                    let variable = format!("{key}={value}");
                    match environment.iter_mut().find(|old| old.split('=').next() == Some(&key)) {
                        Some(old) => *old = variable,
                        None => environment.push(variable),
                    }
                }
                self.set("Env", environment.into());
            }
            Change::Expose(ports) => self.add_keys("ExposedPorts", ports),
            Change::Volume(paths) => self.add_keys("Volumes", paths),
            Change::Label(pairs) => {
                let labels = Self::object(self.execution(), "Labels");
                labels.extend(pairs.into_iter().map(|(key, value)| (key, Value::from(value))));
            }
            Change::User(user) => self.set("User", user.into()),
            Change::Workdir(path) => {
                let before = self.execution().get("WorkingDir").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.set("WorkingDir", directory(&before, &path).into());
            }
            Change::StopSignal(signal) => self.set("StopSignal", signal.into()),
            Change::OnBuild(line) => Self::list(self.execution(), "OnBuild").push(line.into()),
            Change::Healthcheck(check) => self.set("Healthcheck", healthcheck(&check)),
        }
    }

    fn add_keys(&mut self, key: &str, keys: Vec<String>) {
        let object = Self::object(self.execution(), key);
        object.extend(keys.into_iter().map(|key| (key, json!({}))));
    }

    fn command(&mut self, command: Command) -> Value {
        match command {
            Command::Exec(words) => words.into(),
            Command::Shell(line) => {
                let shell = self.execution().get("Shell").and_then(Value::as_array).filter(|shell| !shell.is_empty());
                let mut words = shell.cloned().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
                words.push(line.into());
                words.into()
            }
        }
    }

    /// Adds a layer, or where it is none only its history.
    ///
    /// # Errors
    /// [`Error::Layers`] where there are too many.
    pub fn add_layer(&mut self, diff_id: Option<&Digest>, history: &History) -> Result<(), Error> {
        self.complete_history();
        let layers = Self::list(Self::object(&mut self.root, "rootfs"), "diff_ids");
        layers.extend(diff_id.map(|diff_id| Value::from(diff_id.to_string())));
        if layers.len() > MAX_LAYERS {
            return Err(Error::Layers(layers.len()));
        }
        let mut entry = Map::new();
        for (key, text) in [
            ("created", &history.created),
            ("created_by", &history.created_by),
            ("author", &history.author),
            ("comment", &history.comment),
        ] {
            if !text.is_empty() {
                entry.insert(key.into(), text.clone().into());
            }
        }
        if diff_id.is_none() {
            entry.insert("empty_layer".into(), true.into());
        }
        Self::list(&mut self.root, "history").push(entry.into());
        self.root.insert("created".into(), history.created.clone().into());
        if !history.author.is_empty() {
            self.root.insert("author".into(), history.author.clone().into());
        }
        Ok(())
    }

    /// Other tools count on a step for each layer, which some builders of images leave out.
    fn complete_history(&mut self) {
        let layers = Self::list(Self::object(&mut self.root, "rootfs"), "diff_ids").len();
        let steps = Self::list(&mut self.root, "history");
        let is_layer = |step: &&Value| step.get("empty_layer") != Some(&Value::Bool(true));
        let told = steps.iter().filter(is_layer).count();
        let missing = layers.saturating_sub(told);
        steps.splice(0..0, std::iter::repeat_n(json!({}), missing));
    }

    /// Forgets all layers and their history.
    pub fn forget_layers(&mut self) {
        self.root.insert("rootfs".into(), json!({"type": "layers", "diff_ids": []}));
        self.root.remove("history");
    }

    /// The configuration's bytes, whose digest is the image's ID.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Docker's own fields about the container that the base was built in are of no use to anybody.
        let mut root = self.root.clone();
        for key in ["container", "container_config"] {
            root.remove(key);
        }
        Value::Object(root).to_string().into_bytes()
    }
}

/// One step of how an image came to be, by its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct HistoryStep {
    /// RFC 3339; empty where it is not told.
    #[serde(deserialize_with = "text")]
    pub created: String,
    /// What made it.
    #[serde(deserialize_with = "text")]
    pub created_by: String,
    /// Why.
    #[serde(deserialize_with = "text")]
    pub comment: String,
    #[serde(rename = "empty_layer")]
    is_empty: bool,
    /// Whether it made a layer.
    #[serde(skip)]
    pub has_layer: bool,
}

fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(<Option<String> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}

/// The steps that a configuration tells of, the first first. Layers of which nothing is told are at the
/// bottom.
///
/// # Errors
/// [`Error::Json`] for what is no configuration.
pub fn history_of(config: &[u8], layers: usize) -> Result<Vec<HistoryStep>, Error> {
    #[derive(serde::Deserialize)]
    struct Raw {
        #[serde(default)]
        history: Option<Vec<HistoryStep>>,
    }
    let what = "image configuration";
    let raw: Raw = serde_json::from_slice(config).map_err(|source| Error::Json { what, source })?;
    let mut steps = raw.history.unwrap_or_default();
    for step in &mut steps {
        step.has_layer = !step.is_empty;
    }
    let told = steps.iter().filter(|step| step.has_layer).count();
    let untold = HistoryStep { has_layer: true, ..HistoryStep::default() };
    if told > layers {
        return Ok(vec![untold; layers]);
    }
    steps.splice(0..0, std::iter::repeat_n(untold, layers - told));
    Ok(steps)
}

/// A health check as configurations have it.
pub fn healthcheck(check: &Healthcheck) -> Value {
    let mut object = Map::new();
    object.insert("Test".into(), check.test.clone().into());
    for (key, number) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
        ("Retries", check.retries),
    ] {
        if number != 0 {
            object.insert(key.into(), number.into());
        }
    }
    object.into()
}

/// WORKDIR: relative to the one before.
fn directory(before: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{before}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn base() -> Amended {
        let text = format!(
            r#"{{"os":"linux","architecture":"amd64","odd":1,"config":{{"Env":["A=1","B=2"],"Cmd":["x"],"Entrypoint":["e"],"WorkingDir":"/srv"}},
               "rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}},"history":[{{"created_by":"base"}}]}}"#
        );
        Amended::from(text.as_bytes()).unwrap()
    }

    #[test]
    fn changes_are_dockers() {
        let mut config = base();
        config
            .apply_all([
                "ENV B=$A-3 C=4",
                "ENTRYPOINT /run.sh",
                "WORKDIR app/../lib",
                "EXPOSE 80",
                "LABEL k=v",
                "USER app",
            ])
            .unwrap();
        let read = Config::parse(&config.to_bytes()).unwrap();
        let run = read.execution;
        assert_eq!(run.env, ["A=1", "B=1-3", "C=4"]);
        assert_eq!((run.entrypoint, run.cmd), (vec!["/bin/sh".to_owned(), "-c".into(), "/run.sh".into()], vec![]));
        assert_eq!((run.working_dir.as_str(), run.user.as_str()), ("/srv/lib", "app"));
        assert_eq!((run.exposed_ports, run.labels["k"].as_str()), (vec!["80/tcp".to_owned()], "v"));
        let mut config = base();
        config.apply_all([r#"CMD ["y"]"#, "ENTRYPOINT []"]).unwrap();
        let run = Config::parse(&config.to_bytes()).unwrap().execution;
        assert_eq!((run.entrypoint, run.cmd), (vec![], vec!["y".to_owned()]));
    }

    #[test]
    fn a_base_without_history_gets_a_step_for_each_layer() {
        let text = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}}}}"#);
        let mut config = Amended::from(text.as_bytes()).unwrap();
        config
            .add_layer(Some(&Digest::parse(DIGEST).unwrap()), &History { comment: "why".into(), ..History::default() })
            .unwrap();
        let steps = history_of(&config.to_bytes(), 2).unwrap();
        assert_eq!((steps.len(), steps[1].comment.as_str()), (2, "why"));
    }

    #[test]
    fn history_and_layers_agree_and_what_is_unknown_stays() {
        let mut config = base();
        let history = History { created: "2024-01-02T03:04:05Z".into(), comment: "why".into(), ..History::default() };
        config.add_layer(None, &history).unwrap();
        config.add_layer(Some(&Digest::parse(DIGEST).unwrap()), &history).unwrap();
        let value: Value = serde_json::from_slice(&config.to_bytes()).unwrap();
        assert_eq!(value["odd"], 1);
        assert_eq!(value["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
        assert_eq!(value["history"][1]["empty_layer"], true);
        assert_eq!(value["history"][2]["comment"], "why");
        assert_eq!(value["created"], "2024-01-02T03:04:05Z");
    }
}
