//! `enter set BOX`: what a box is made as, changed after it was made. Each thing holds from the first moment that it can.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::record::{Mount, NetworkMode, Port, Share, Spec};
use enter::container::{Container, Containers};
use enter::network::Networks;
use enter::network::publish::{parse, together};
use enter::store::Store;
use plan::Text;

use super::super::run::mounts;
use super::super::state::State;
use super::super::{files, home, limits, network::connect, port, ports, rename, variables};
use super::{make, rebase, remake, show};
use crate::cli::run::values::{Reached, Ulimit};
use crate::cli::run::{FileArgs, ImageVolume};
use crate::cli::{BoxSetting, RemakeArgs, RenameArgs, SetArgs, Unset};
use crate::commands::run::pasta;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, table};

/// Changes it; or, where nothing is to be changed, prints what is set.
pub fn set(ui: &Ui, settings: &Settings, args: &SetArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let containers = Containers::below(state.root());
    let container = super::find(&containers, &args.name)?;
    if asks_nothing(args) {
        return print(ui, &container.record.spec);
    }
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    home::check_set(args.home, args.project.as_deref()).map_err(failed)?;
    refuse_network(args, &container).map_err(failed)?;
    for unset in &args.unset {
        check_unset(&container, unset).map_err(failed)?;
    }
    let work = Work { ui, settings, state: &state, containers: &containers, args };
    work.do_all(container).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn asks_nothing(args: &SetArgs) -> bool {
    args.env.is_empty()
        && args.env_file.is_empty()
        && args.volume.is_empty()
        && args.publish.is_empty()
        && args.network.is_empty()
        && args.device.is_empty()
        && args.ulimit.is_empty()
        && args.add_host.is_empty()
        && args.dns.is_empty()
        && args.share.shares().is_empty()
        && args.unset.is_empty()
        && args.hostname.is_none()
        && args.shm_size.is_none()
        && args.keep_running.is_none()
        && args.home.is_none()
        && args.project.is_none()
        && args.resources.resources(None).is_empty()
        && args.remake.is_empty()
        && args.outward.is_empty()
}

fn print(ui: &Ui, spec: &Spec) -> Result<ExitCode, Failure> {
    let lines = show::lines(spec);
    let cells: Vec<Vec<&str>> = lines.iter().map(|(word, value)| vec![*word, value.as_str()]).collect();
    let mut output = ui.output();
    output.text(table::layout(&cells));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// The mode among the networks that are asked for.
fn mode(args: &SetArgs) -> Option<&NetworkMode> {
    args.network.iter().find_map(|reached| match reached {
        Reached::Mode(mode) => Some(mode),
        Reached::Pasta(_) => Some(&NetworkMode::Pasta),
        Reached::Own(_) => None,
    })
}

fn refuse_network(args: &SetArgs, container: &Container) -> Result<(), Failure> {
    let modes = args.network.iter().filter(|reached| !matches!(reached, Reached::Own(_))).count();
    if modes > 1 || (modes == 1 && args.network.len() > 1) {
        return Err(Failure::new("pasta, none and host stand alone: a box has one of them, or networks of your own")
            .with_hint("name one of them, or networks of your own"));
    }
    for reached in &args.network {
        if let Reached::Pasta(options) = reached {
            pasta::refuse(options, &[])?;
        }
    }
    let own = args.network.iter().any(|reached| matches!(reached, Reached::Own(_)));
    if own && matches!(container.record.spec.network, NetworkMode::None | NetworkMode::Host) {
        let name = &container.record.name;
        return Err(Failure::new(format!(
            "cannot put {name} on a network of your own: its network is another's, or none"
        ))
        .with_hint(format!("give it one first: enter set {name} --network pasta")));
    }
    Ok(())
}

/// Sees that there is what is to be taken back.
fn check_unset(container: &Container, unset: &Unset) -> Result<(), Failure> {
    let spec = &container.record.spec;
    if let Some(is_set) = remake::is_set(spec, unset) {
        return if is_set { Ok(()) } else { Err(none(container, unset)) };
    }
    let which = unset.which.as_deref();
    let is = |name: &str| which.is_none_or(|which| which == name);
    let there = match unset.what {
        BoxSetting::Env => spec.environment.iter().any(|pair| which.is_none_or(|which| has_name(pair, which))),
        BoxSetting::Volume => spec.mounts.iter().any(|mount| is(&mount.target)),
        BoxSetting::Publish => !meant_ports(spec, which)?.is_empty(),
        BoxSetting::Network => spec.networks.iter().any(|wanted| is(&wanted.network)),
        BoxSetting::Device => spec.devices.iter().any(|device| is(&device.target.to_string_lossy())),
        BoxSetting::Ulimit => spec.hardening.limits.iter().any(|limit| is(&limit.name)),
        BoxSetting::AddHost => spec.extra_hosts.iter().any(|host| which.is_none_or(|which| is_host(host, which))),
        BoxSetting::Dns => spec.dns.iter().any(|server| is(server)),
        BoxSetting::Share => spec.shares.words().any(|word| is(word.name())),
        BoxSetting::Hostname => !spec.hostname.is_empty(),
        BoxSetting::ShmSize => spec.shm_size.is_some(),
        BoxSetting::AllowHostExec => spec.outward.programs.iter().any(|program| is(program)),
        BoxSetting::AllowOpen => spec.outward.open,
        _ => false,
    };
    if there { Ok(()) } else { Err(none(container, unset)) }
}

fn none(container: &Container, unset: &Unset) -> Failure {
    let word = BoxSetting::ALL.iter().find(|(_, what)| *what == unset.what).map_or("", |(word, _)| word);
    let typed = unset.which.as_ref().map_or_else(|| word.to_owned(), |which| format!("{word}={which}"));
    let name = &container.record.name;
    Failure::new(format!("cannot take back {typed}: {name} has none"))
        .with_hint(format!("see what is set: enter set {name}"))
}

/// Whether there is what is to be taken back.
pub fn is_set(container: &Container, unset: &Unset) -> bool {
    check_unset(container, unset).is_ok()
}

fn has_name(pair: &Text, name: &str) -> bool {
    pair.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'='))
}

fn is_host(entry: &str, name: &str) -> bool {
    entry == name || entry.split_once(':').is_some_and(|(names, _)| names.split(';').any(|known| known == name))
}

/// The ports that are to be taken back.
fn meant_ports(spec: &Spec, which: Option<&str>) -> Result<Vec<Port>, Failure> {
    let Some(which) = which else { return Ok(spec.ports.clone()) };
    let asked = parse(which).map_err(|why| Failure::new(format!("`{which}` is no port: {why}")))?;
    let is_meant = |port: &&Port| asked.iter().any(|asked| port::is_meant(asked, port));
    Ok(spec.ports.iter().filter(is_meant).cloned().collect())
}

/// One change of a box.
struct Work<'a> {
    ui: &'a Ui,
    settings: &'a Settings,
    state: &'a State,
    containers: &'a Containers,
    args: &'a SetArgs,
}

impl Work<'_> {
    fn do_all(&self, container: Container) -> Result<(), Failure> {
        let args = self.args;
        let new = self.new_ports(&container)?;
        // What can be wrong with a mount or a device is said before anything is changed.
        let store = self.state.store()?;
        remake::check(&args.remake)?;
        let (mounts, held) = self.mounts(&store, &container)?;
        let variables = variables::given(&args.env_file, &args.env)?;
        let resources = args.resources.resources(None);
        limits::plan_change(&container, &resources)?;
        let container = match &args.remake.image {
            Some(image) => {
                rebase::onto(self.ui, self.settings, self.containers, &store, &container, image)?;
                self.containers.find(&container.record.id)?
            }
            None => container,
        };
        let changed = self.containers.change(&container, |record| {
            let spec = &mut record.spec;
            spec.resources.change(&resources);
            args.unset.iter().for_each(|unset| take_back(spec, unset));
            for (name, value) in variables {
                spec.environment.retain(|pair| !has_name(pair, &String::from_utf8_lossy(name.as_bytes())));
                spec.environment.push(make::joined((name, value)));
            }
            for mount in mounts {
                spec.mounts.retain(|before| before.target != mount.target);
                spec.mounts.push(mount);
            }
            self.fill(spec);
            // Seen to be possible before.
            let _ = remake::fill(spec, &args.remake);
            Ok(())
        });
        drop(held);
        let record = changed?;
        let before = container.record.spec.clone();
        Journal::beside(&container.folder).add(&Event::of_container(&record, "update"));
        let container = Container { record, ..container };
        self.ports(&before, &container, new)?;
        self.networks(&before, &container)?;
        self.tell(&before, &self.containers.find(&container.record.id)?);
        if let Some(name) = &args.remake.name {
            rename::run(&RenameArgs { container: container.record.id.clone(), name: name.clone() })?;
        }
        Ok(())
    }

    /// What needs neither sockets nor networks.
    fn fill(&self, spec: &mut Spec) {
        let args = self.args;
        home::set(spec, args.home, args.project.as_deref());
        for device in &args.device {
            spec.devices.retain(|before| before.target != device.target);
            spec.devices.push(device.clone());
        }
        for limit in &args.ulimit {
            match limit {
                Ulimit::Host => spec.hardening.limits.clear(),
                Ulimit::Set(limit) => {
                    spec.hardening.limits.retain(|before| before.name != limit.name);
                    spec.hardening.limits.push(limit.clone());
                }
            }
        }
        for host in &args.add_host {
            let names = host.split(':').next().unwrap_or_default();
            spec.extra_hosts.retain(|before| before.split(':').next() != Some(names));
            spec.extra_hosts.push(host.clone());
        }
        if !args.dns.is_empty() {
            spec.dns = args.dns.iter().map(ToString::to_string).collect();
        }
        spec.shares = std::mem::take(&mut spec.shares).with(&args.share.shares());
        if let Some(name) = &args.hostname {
            spec.hostname.clone_from(name);
        }
        args.outward.allow_host_exec.iter().for_each(|program| spec.outward.allow(&program.0));
        spec.outward.open = args.outward.allow_open.unwrap_or(spec.outward.open);
        spec.shm_size = args.shm_size.or(spec.shm_size);
        if let (Some(boxed), Some(keep)) = (&mut spec.boxed, args.keep_running) {
            boxed.keep_running = keep;
        }
    }

    /// The ports that are to be published, if they can be had together with those that stay.
    fn new_ports(&self, container: &Container) -> Result<Vec<Port>, Failure> {
        let asked = self.args.publish.iter().flat_map(|published| published.0.iter());
        let new: Vec<Port> = asked.map(|asked| asked.port(self.settings.publish_address)).collect();
        if new.is_empty() {
            return Ok(new);
        }
        let network = mode(self.args).unwrap_or(&container.record.spec.network);
        if !ports::has_own(network) {
            let name = &container.record.name;
            return Err(Failure::new(format!("cannot publish a port of {name}: it is in this machine's own network"))
                .with_hint("what listens inside listens on this machine; it needs no publishing"));
        }
        let mut gone = Vec::new();
        for unset in self.args.unset.iter().filter(|unset| unset.what == BoxSetting::Publish) {
            gone.extend(meant_ports(&container.record.spec, unset.which.as_deref())?);
        }
        let kept = container.record.spec.ports.iter().filter(|port| !gone.contains(port));
        together(kept.chain(&new).cloned().collect())?;
        Ok(new)
    }

    /// What is to be mounted, with the volumes that are made for it.
    fn mounts(&self, store: &Store, container: &Container) -> Result<(Vec<Mount>, Option<mounts::Held>), Failure> {
        for device in &self.args.device {
            enter::container::planning::check_bind(&device.source, &device.target)?;
        }
        let RemakeArgs { mount, tmpfs, .. } = &self.args.remake;
        if self.args.volume.is_empty() && mount.is_empty() && tmpfs.is_empty() {
            return Ok((Vec::new(), None));
        }
        let gone = || Failure::new(format!("the image of {} is not in the store any more", container.record.name));
        let image = files::image(store, container)?.ok_or_else(gone)?;
        let asked = FileArgs {
            volume: self.args.volume.clone(),
            mount: mount.clone(),
            volumes_from: Vec::new(),
            image_volume: ImageVolume::Ignore,
            volume_driver: None,
            tmpfs: tmpfs.clone(),
            storage: None,
            storage_opt: Vec::new(),
            read_only: false,
            read_only_tmpfs: true,
            shm_size: None,
            device: Vec::new(),
        };
        let place = mounts::Place {
            ui: self.ui,
            settings: self.settings,
            store,
            containers: self.containers,
            root: self.state.root(),
        };
        let mut scratch = Spec::default();
        let held = mounts::resolve(&place, &mut scratch, &asked, &image.config)?;
        Ok((scratch.mounts, Some(held)))
    }

    fn ports(&self, before: &Spec, container: &Container, new: Vec<Port>) -> Result<(), Failure> {
        for unset in self.args.unset.iter().filter(|unset| unset.what == BoxSetting::Publish) {
            let gone = meant_ports(before, unset.which.as_deref())?;
            let (now, lock) = port::held(self.containers, &container.record.id)?;
            port::unpublish(self.containers, &now, lock.is_none(), &gone)?;
        }
        if new.is_empty() {
            return Ok(());
        }
        let (now, lock) = port::held(self.containers, &container.record.id)?;
        port::publish(self.containers, &now, lock.is_none(), new).map(drop)
    }

    fn networks(&self, before: &Spec, container: &Container) -> Result<(), Failure> {
        let networks = Networks::below(self.state.root());
        for unset in self.args.unset.iter().filter(|unset| unset.what == BoxSetting::Network) {
            let is_meant = |name: &&String| unset.which.as_ref().is_none_or(|which| which == *name);
            for name in before.networks.iter().map(|wanted| &wanted.network).filter(is_meant) {
                connect::part(&networks, self.containers, container, name)?;
            }
        }
        for reached in &self.args.network {
            match reached {
                Reached::Mode(mode) => self.change_mode(&networks, container, mode, Vec::new())?,
                Reached::Pasta(options) => {
                    self.change_mode(&networks, container, &NetworkMode::Pasta, pasta::kept(options)?)?;
                }
                Reached::Own(wanted) => {
                    let network = networks.find(&wanted.network)?;
                    let wanted = enter::network::lease::Wanted { network: network.name.clone(), ..wanted.clone() };
                    let now = self.containers.find(&container.record.id)?;
                    connect::join(&networks, self.containers, &now, &network, wanted)?;
                }
            }
        }
        Ok(())
    }

    /// Another way out, with these options where it is pasta's, from the next start on; the networks of one's own that the box was on go.
    fn change_mode(
        &self,
        networks: &Networks,
        container: &Container,
        mode: &NetworkMode,
        options: Vec<String>,
    ) -> Result<(), Failure> {
        let own: Vec<String> = container.record.spec.networks.iter().map(|wanted| wanted.network.clone()).collect();
        for name in &own {
            connect::part(networks, self.containers, container, name)?;
        }
        self.containers.change(container, |record| {
            record.spec.network = mode.clone();
            record.spec.pasta = options;
            Ok(())
        })?;
        Ok(())
    }

    /// Says what a box that runs takes up only when it is started again.
    fn tell(&self, before: &Spec, container: &Container) {
        home::tell_set(self.ui, before, container);
        if !container.is_alive() {
            return;
        }
        let now = &container.record.spec;
        let late = [
            (before.mounts != now.mounts, "volumes"),
            (before.devices != now.devices, "devices"),
            ((before.home, &before.project) != (now.home, &now.project), "the home"),
            (before.network != now.network || before.pasta != now.pasta, "the way to the network"),
            (before.hostname != now.hostname, "the host name"),
            (before.extra_hosts != now.extra_hosts, "/etc/hosts"),
            (before.dns != now.dns, "name servers"),
            (before.shm_size != now.shm_size, "/dev/shm"),
            (
                Share::ALL.iter().any(|share| before.shares.has(*share) && !now.shares.has(*share)),
                "what is not shared any more",
            ),
            (before.resources != now.resources && limits::runs_without(container), "limits"),
        ];
        let late = late.into_iter().chain(remake::late(before, now));
        let late: Vec<&str> = late.filter(|(changed, _)| *changed).map(|(_, word)| word).collect();
        if !late.is_empty() {
            let name = &container.record.name;
            self.ui.note(&format!(
                "{name} is running: {} change with its next start. To end all that runs in it now: enter restart {name}",
                late.join(", ")
            ));
        }
    }
}

/// Takes back what needs neither sockets nor networks.
fn take_back(spec: &mut Spec, unset: &Unset) {
    let which = unset.which.as_deref();
    let stays = |name: &str| which.is_some_and(|which| which != name);
    match unset.what {
        BoxSetting::Env => spec.environment.retain(|pair| which.is_some_and(|which| !has_name(pair, which))),
        BoxSetting::Volume => spec.mounts.retain(|mount| stays(&mount.target)),
        BoxSetting::Device => {
            spec.devices.retain(|device| which.is_some_and(|which| device.target != Path::new(which)));
        }
        BoxSetting::Ulimit => spec.hardening.limits.retain(|limit| stays(&limit.name)),
        BoxSetting::AddHost => spec.extra_hosts.retain(|host| which.is_some_and(|which| !is_host(host, which))),
        BoxSetting::Dns => spec.dns.retain(|server| stays(server)),
        BoxSetting::Share => spec.shares.retain(|word| stays(word.name())),
        BoxSetting::Hostname => spec.hostname.clear(),
        BoxSetting::ShmSize => spec.shm_size = None,
        BoxSetting::AllowHostExec => spec.outward.programs.retain(|program| stays(program)),
        BoxSetting::AllowOpen => spec.outward.open = false,
        BoxSetting::Publish | BoxSetting::Network => {}
        _ => remake::take_back(spec, unset),
    }
}
