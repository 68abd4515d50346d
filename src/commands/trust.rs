//! `enter image trust`: what the policy requires of images, shown and changed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use enter::registry;
use enter::trust::{self, DEFAULT, Entry, Wanted};
use serde_json::{Value, json};

use super::format::{Format, Heading};
use super::resolve;
use crate::cli::{TrustKind, TrustSetArgs, TrustShowArgs};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// podman's columns. Of GnuPG's keys and stores of signatures, which its last two are for, nothing is known here.
const HEADINGS: &[Heading] =
    &[("Transport", "TRANSPORT"), ("Name", "NAME"), ("Type", "TYPE"), ("ID", "ID"), ("Store", "STORE")];
const TABLE: &str = "table {{.Transport}}\t{{.Name}}\t{{.Type}}\t{{.ID}}\t{{.Store}}";

/// Prints what the policy requires.
pub fn show(ui: &Ui, settings: &Settings, args: &TrustShowArgs) -> Result<ExitCode, Failure> {
    let environment = environment(settings, args.policypath.as_deref());
    let policy = registry::policy_text(&environment)?;
    let mut output = ui.output();
    if args.raw {
        let (_, text) = policy.ok_or_else(|| {
            Failure::new("there is no policy, so that every image is accepted")
                .with_hint("make one: enter image trust set --type accept default")
        })?;
        output.text(&text);
        if !text.ends_with('\n') {
            output.line("");
        }
        output.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    let entries = match &policy {
        Some((path, text)) => trust::entries(path, text).map_err(registry::Error::from)?,
        None => vec![Entry { transport: None, scope: DEFAULT.into(), kind: "insecureAcceptAnything".into() }],
    };
    let entries = match &args.name {
        None => entries,
        Some(name) => trust::for_name(&entries, name)
            .ok_or_else(|| Failure::new(format!("{name:?} is neither a registry nor an image of one")))?,
    };
    if args.json {
        output.line(format!("{:#}", entries.iter().map(as_json).collect::<Value>()));
    } else {
        let rows: Vec<Value> = entries.iter().map(row).collect();
        output.text(Format::parse(TABLE, HEADINGS)?.without_headings(args.noheading).render(&rows)?);
    }
    output.finish()?;
    if policy.is_none() {
        ui.note("there is no policy, so that every image is accepted");
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes what the policy requires of some images.
pub fn set(ui: &Ui, settings: &Settings, args: &TrustSetArgs) -> Result<ExitCode, Failure> {
    let wanted = wanted(args)?;
    let is_gpg = matches!(wanted, Wanted::Gpg(_));
    let environment = environment(settings, args.policypath.as_deref());
    registry::change_policy(&environment, |path, text| trust::set(path, text, &args.scope, &wanted))?;
    if is_gpg {
        let whose = if args.scope == DEFAULT { "by default".to_owned() } else { format!("of {}", args.scope) };
        ui.warning(&format!("enter verifies no signatures of GnuPG, and refuses images {whose} from now on"));
    }
    Ok(ExitCode::SUCCESS)
}

fn environment(settings: &Settings, named: Option<&Path>) -> registry::Environment {
    let environment = resolve::environment(settings);
    match named {
        Some(path) => environment.with_policy(Some(path.to_owned())),
        None => environment,
    }
}

fn wanted(args: &TrustSetArgs) -> Result<Wanted, Failure> {
    let keys = || -> Result<Vec<PathBuf>, Failure> {
        if args.pubkeysfile.is_empty() {
            return Err(Failure::new("a signature wants a key that it is by").with_hint(
                "name the file of the public key: --pubkeysfile FILE; or trust without one: --type accept",
            ));
        }
        let there = |path: &PathBuf| {
            let failed = |error| {
                Failure::new(format!("cannot read the key {}", path.display()))
                    .because(error)
                    .with_hint("name the file of a public key, which has to stay where it is")
            };
            std::fs::File::open(path).map_err(failed)?;
            std::path::absolute(path).map_err(failed)
        };
        args.pubkeysfile.iter().map(there).collect()
    };
    let without_keys = |wanted| match args.pubkeysfile.is_empty() {
        true => Ok(wanted),
        false => Err(Failure::new("keys are for signatures, and none is asked for")
            .with_hint("leave --pubkeysfile out, or ask for --type sigstoreSigned")),
    };
    match args.kind {
        TrustKind::Accept => without_keys(Wanted::Anything),
        TrustKind::Reject => without_keys(Wanted::Nothing),
        TrustKind::SignedBy => Ok(Wanted::Gpg(keys()?)),
        TrustKind::SigstoreSigned => Ok(Wanted::Sigstore(keys()?)),
    }
}

/// podman's words for transports and requirements.
fn words(entry: &Entry) -> (&str, &str) {
    let transport = match entry.transport.as_deref() {
        None => "all",
        Some("docker") => "repository",
        Some(other) => other,
    };
    let kind = match entry.kind.as_str() {
        "insecureAcceptAnything" => "accept",
        "signedBy" => "signed",
        other => other,
    };
    (transport, kind)
}

fn row(entry: &Entry) -> Value {
    let (transport, kind) = words(entry);
    let id = if entry.kind == "sigstoreSigned" { "N/A" } else { "" };
    json!({"Transport": transport, "Name": entry.scope, "Type": kind, "ID": id, "Store": ""})
}

fn as_json(entry: &Entry) -> Value {
    let (transport, kind) = words(entry);
    let name = if entry.transport.is_none() { "* (default)" } else { &entry.scope };
    let mut value = json!({"transport": transport, "name": name, "repo_name": entry.scope, "type": kind});
    if entry.kind == "sigstoreSigned" {
        value["gpg_id"] = json!("N/A");
    }
    // As podman leaves out what is empty.
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| value != "");
    }
    value
}
