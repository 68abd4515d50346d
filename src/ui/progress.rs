//! A pull or a push as it is seen: a bar for each layer that is on its way and a line for the whole, or plain lines where no terminal is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use enter::image::{Descriptor, Digest, Reference};
use enter::registry::{Error, LayerEvent, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Ui, escape, human};

/// How often the screen is drawn at most.
const PERIOD: Duration = Duration::from_millis(80);
/// After this long, a reason for another attempt is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(1);
/// How wide a bar is.
const WIDTH: usize = 30;

/// Shows pulls one after the other. Bars leave nothing on the screen.
#[derive(Debug)]
pub struct PullProgress<'a> {
    ui: &'a Ui,
    /// The lines that move: one message with a line for each layer, since bars that come and go leave traces.
    screen: Option<ProgressBar>,
    state: Mutex<State>,
}

/// What is known of the pull that is going on.
#[derive(Debug)]
struct State {
    /// `pulling` or `pushing`.
    doing: &'static str,
    name: String,
    /// Every layer of the image, and the bytes of its blob.
    sizes: HashMap<Digest, u64>,
    /// Those that are on their way, in the order in which they began.
    active: BTreeMap<usize, Active>,
    begun: usize,
    done: usize,
    /// Bytes of layers that are here.
    here: u64,
    /// Bytes that came over the network, and since when.
    received: u64,
    since: Instant,
    drawn: Instant,
    /// Why something was tried again of late, and when that was told.
    told: HashMap<String, Instant>,
}

#[derive(Debug)]
struct Active {
    layer: Digest,
    here: u64,
    size: u64,
    /// What is done besides moving bytes.
    now: &'static str,
}

impl<'a> PullProgress<'a> {
    pub(super) fn new(ui: &'a Ui, moving: bool) -> Self {
        let screen = moving.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is constant, and known to be one.
            bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { ui, screen, state: Mutex::new(State::new("pulling", String::new(), HashMap::new())) }
    }

    /// Takes the bars off the screen.
    pub fn finish(&self) {
        if let Some(screen) = &self.screen {
            screen.finish_and_clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked has left at worst a bar that stands still.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints above the bars.
    fn above(&self, print: impl FnOnce()) {
        match &self.screen {
            Some(screen) => screen.suspend(print),
            None => print(),
        }
    }

    fn draw(&self, state: &mut State) {
        let Some(screen) = &self.screen else { return };
        if state.drawn.elapsed() >= PERIOD {
            state.drawn = Instant::now();
            screen.set_message(state.lines());
        }
    }

    fn begin(&self, doing: &'static str, name: &Reference, layers: &[Descriptor]) {
        let sizes: HashMap<Digest, u64> = layers.iter().map(|layer| (layer.digest.clone(), layer.size)).collect();
        if self.screen.is_none() {
            let count = match layers.len() {
                1 => "1 layer".to_owned(),
                count => format!("{count} layers"),
            };
            self.ui.note(&format!("{doing} {name}: {count}, {}", human::size(total(&sizes))));
        }
        *self.state() = State::new(doing, escape::line(&name.familiar()).into_owned(), sizes);
    }

    fn ended(&self, state: &mut State, layer: &Digest, what: &str) {
        state.active.retain(|_, active| active.layer != *layer);
        state.here += state.sizes.get(layer).copied().unwrap_or_default();
        state.done += 1;
        if self.screen.is_none() {
            self.ui.note(&format!("layer {} {what} ({} of {})", layer.short(), state.done, state.sizes.len()));
        }
    }
}

/// All of them together: a manifest may say more than a number holds.
fn total(sizes: &HashMap<Digest, u64>) -> u64 {
    sizes.values().fold(0, |sum, size| sum.saturating_add(*size))
}

impl Progress for PullProgress<'_> {
    fn resolved(&self, name: &Reference, layers: &[Descriptor]) {
        self.begin("pulling", name, layers);
    }

    fn pushing(&self, name: &Reference, layers: &[Descriptor]) {
        self.begin("pushing", name, layers);
    }

    fn changed(&self, layer: &Digest, now: &Digest, why: &str) {
        let text = format!("layer {} is pushed as {}: {why}", layer.short(), now.short());
        self.above(|| self.ui.warning(&text));
    }

    fn layer(&self, layer: &Digest, event: LayerEvent) {
        let mut state = self.state();
        match event {
            LayerEvent::Started { from } => state.started(layer, from),
            LayerEvent::Received(bytes) => state.received(layer, bytes),
            LayerEvent::Finishing => state.of(layer, |active| active.now = "  writing"),
            LayerEvent::Waiting if state.doing == "pushing" => {
                let text = format!("layer {} is fetched again, as it was not kept compressed", layer.short());
                self.above(|| self.ui.note(&text));
            }
            LayerEvent::Waiting => {
                let text = format!("layer {} is being fetched by another enter; waiting for it", layer.short());
                self.above(|| self.ui.note(&text));
            }
            LayerEvent::Compressing => state.compressing(layer),
            LayerEvent::Exists if state.doing == "pushing" => self.ended(&mut state, layer, "is there already"),
            LayerEvent::Exists => self.ended(&mut state, layer, "is here already"),
            LayerEvent::Mounted => self.ended(&mut state, layer, "is taken over from another repository"),
            LayerEvent::Done => self.ended(&mut state, layer, "done"),
        }
        self.draw(&mut state);
    }

    fn retrying(&self, reason: &Error, wait: Duration) {
        let reason = reason.to_string();
        if !self.state().tell(&reason) {
            return;
        }
        let when = again(wait);
        self.above(|| self.ui.warning(&format!("{reason}; trying again {when}")));
    }
}

/// When another attempt follows, in words.
fn again(wait: Duration) -> String {
    if wait < Duration::from_millis(50) {
        return "at once".to_owned();
    }
    format!("in {:.1}s", wait.as_secs_f32())
}

impl State {
    fn new(doing: &'static str, name: String, sizes: HashMap<Digest, u64>) -> Self {
        let now = Instant::now();
        let active = BTreeMap::new();
        Self {
            doing,
            name,
            sizes,
            active,
            begun: 0,
            done: 0,
            here: 0,
            received: 0,
            since: now,
            drawn: now,
            told: HashMap::new(),
        }
    }

    /// Whether this reason for another attempt is to be told: a registry that comes and goes gives the same one many times a second.
    fn tell(&mut self, reason: &str) -> bool {
        self.told.retain(|_, told| told.elapsed() < TOLD_AGAIN);
        if self.told.contains_key(reason) {
            return false;
        }
        self.told.insert(reason.to_owned(), Instant::now());
        true
    }

    fn started(&mut self, layer: &Digest, from: u64) {
        // A layer that is tried again begins again.
        self.active.retain(|_, active| active.layer != *layer);
        let size = self.sizes.get(layer).copied().unwrap_or_default();
        self.active.insert(self.begun, Active { layer: layer.clone(), here: from, size, now: "" });
        self.begun += 1;
    }

    fn compressing(&mut self, layer: &Digest) {
        self.started(layer, 0);
        self.of(layer, |active| active.now = "  compressing");
    }

    fn received(&mut self, layer: &Digest, bytes: u64) {
        self.received += bytes;
        self.of(layer, |active| active.here += bytes);
    }

    fn of(&mut self, layer: &Digest, change: impl FnOnce(&mut Active)) {
        if let Some(active) = self.active.values_mut().find(|active| active.layer == *layer) {
            change(active);
        }
    }

    /// What stands on the screen.
    fn lines(&self) -> String {
        let mut lines = String::new();
        for Active { layer, here, size, now } in self.active.values() {
            let (bar, here, size) = (bar(*here, *size), human::size(*here), human::size(*size));
            lines.push_str(&format!("  {}  {bar}  {here:>6} of {size:<6}{now}\n", layer.short()));
        }
        let here = self.here + self.active.values().map(|active| active.here).sum::<u64>();
        let total = total(&self.sizes);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rough figure"
        )]
        let speed = (self.received as f64 / self.since.elapsed().as_secs_f64().max(0.1)) as u64;
        lines.push_str(&format!(
            "{} {:.40}: {} of {}, {}/s, {} of {} layers",
            self.doing,
            self.name,
            human::size(here),
            human::size(total),
            human::size(speed),
            self.done,
            self.sizes.len()
        ));
        lines
    }
}

/// `[====>     ]`.
fn bar(here: u64, size: u64) -> String {
    let width = WIDTH as u64;
    let filled = usize::try_from((u128::from(here) * u128::from(width)).checked_div(size.into()).unwrap_or_default());
    let filled = filled.unwrap_or(WIDTH).min(WIDTH);
    let head = if filled < WIDTH { ">" } else { "" };
    format!("[{:<WIDTH$}]", format!("{}{head}", "=".repeat(filled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_its_box() {
        for (here, size, expected) in [
            (0, 0, "[>                             ]"),
            (0, 10, "[>                             ]"),
            (5, 10, "[===============>              ]"),
            (10, 10, "[==============================]"),
            (u64::MAX, 1, "[==============================]"),
        ] {
            assert_eq!(bar(here, size), expected);
        }
    }

    #[test]
    fn a_reason_is_not_told_again_at_once() {
        let mut state = State::new("pushing", "debian:latest".into(), HashMap::new());
        assert!(state.tell("refused"));
        assert!(!state.tell("refused"));
        assert!(state.tell("reset"));
        let before = Instant::now().checked_sub(TOLD_AGAIN).unwrap();
        state.told.insert("refused".to_owned(), before);
        assert!(state.tell("refused"));
        assert_eq!(again(Duration::ZERO), "at once");
        assert_eq!(again(Duration::from_millis(300)), "in 0.3s");
    }

    #[test]
    fn the_screen_has_a_line_for_each_layer_on_its_way_and_one_for_all() {
        let layers: Vec<Digest> = [b"a", b"b", b"c"].iter().map(|text| Digest::of(*text)).collect();
        let sizes = layers.iter().map(|layer| (layer.clone(), 1000)).collect();
        let mut state = State::new("pulling", "debian:latest".into(), sizes);
        state.started(&layers[0], 0);
        state.started(&layers[1], 500);
        state.received(&layers[1], 250);
        let lines = state.lines();
        let lines: Vec<&str> = lines.lines().collect();
        let first = format!("  {}  [>                             ]      0B of 1kB   ", layers[0].short());
        assert_eq!(lines[0], first);
        assert_eq!(lines[1], format!("  {}  [======================>       ]    750B of 1kB   ", layers[1].short()));
        assert!(lines[2].starts_with("pulling debian:latest: 750B of 3kB, "), "{lines:?}");
        assert!(lines[2].ends_with(", 0 of 3 layers"), "{lines:?}");
    }
}
