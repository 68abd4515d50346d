//! `enter network ls`: networks in docker's columns, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::SystemTime;

use enter::network::Network;
use serde_json::{Value, json};

use super::filter::Filters;
use super::predefined::{self, Predefined};
use super::{Place, inspect};
use crate::cli::NetworkLsArgs;
use crate::commands::format::{Format, Heading};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::{Ui, human};

/// What a template may name, and what stands above it in a table. The last are podman's.
const HEADINGS: &[Heading] = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
    ("Subnets", ""),
    ("DNSEnabled", "DNS ENABLED"),
    ("IPv6Enabled", "IPV6 ENABLED"),
    ("NetworkInterface", "NETWORK INTERFACE"),
    ("Options", "OPTIONS"),
    ("Created", "CREATED"),
];

const TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

/// A network of one's own, or one that is always there.
pub struct Row {
    /// The network, if it is one of one's own.
    pub network: Option<Network>,
    /// Whether a container is on it.
    pub is_used: bool,
    predefined: Option<&'static Predefined>,
}

impl Row {
    /// Its name.
    pub fn name(&self) -> &str {
        self.network.as_ref().map_or_else(|| self.predefined.map_or("", |one| one.name), |network| &network.name)
    }

    /// 64 hex digits.
    pub fn id(&self) -> &str {
        self.network.as_ref().map_or_else(|| self.predefined.map_or("", |one| one.id), |network| &network.id)
    }

    /// How it works.
    pub fn driver(&self) -> &str {
        self.predefined.map_or("bridge", |one| one.driver)
    }

    /// The user's labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        self.network.as_ref().map_or(NONE, |network| &network.labels)
    }

    fn fields(&self, truncate: bool, docker: bool) -> Value {
        let labels: Vec<String> = self.labels().iter().map(|(key, value)| format!("{key}={value}")).collect();
        let network = self.network.as_ref();
        let has = |ipv4: bool| {
            network.is_none_or(|network| network.subnets.iter().any(|one| one.subnet.addr().is_ipv4() == ipv4))
        };
        let text = |truth: bool| if truth { "true" } else { "false" };
        let mut fields = json!({
            "CreatedAt": network.map(|network| human::local(SystemTime::from(network.created))).unwrap_or_default(),
            "Driver": self.driver(),
            "ID": if truncate { self.id().get(..12).unwrap_or_default() } else { self.id() },
            "IPv4": text(has(true) && self.driver() != "null"),
            "IPv6": text(has(false) && self.driver() != "null"),
            "Internal": text(network.is_some_and(|network| network.internal)),
            "Labels": labels.join(","),
            "Name": self.name(),
            "Scope": "local",
        });
        if !docker {
            fields["Subnets"] = network.map(inspect::subnets).unwrap_or_default().into();
            fields["DNSEnabled"] = text(network.is_some_and(|network| network.dns)).into();
            fields["IPv6Enabled"] = text(network.is_some_and(|network| network.ipv6)).into();
            fields["NetworkInterface"] = network.map_or("", |network| &network.interface).into();
            fields["Options"] = json!(network.map(|network| &network.options).unwrap_or(&BTreeMap::new()));
            fields["Created"] = network.map(|network| network.created.to_string()).unwrap_or_default().into();
        }
        fields
    }
}

/// Lists the networks that fit.
pub fn run(ui: &Ui, args: &NetworkLsArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let template = match args.format.as_deref() {
        None | Some("table") if args.quiet => "{{.ID}}",
        None | Some("table") => TABLE,
        Some(template) => template,
    };
    let format = Format::parse(template, HEADINGS).map_err(|error| verb_failed(error.into()))?;
    let format = format.without_headings(args.noheading);
    let filters = Filters::parse(&args.filter)?;
    let mut rows = rows(&Place::of_user()?)?;
    rows.retain(|row| filters.take(row));
    let docker = template == "json" || template.replace(' ', "") == "{{json.}}";
    let fields: Vec<_> = rows.iter().map(|row| (row.fields(!args.no_trunc, docker), row.labels())).collect();
    let mut output = ui.output();
    output.text(format.render_labelled(&fields).map_err(|error| verb_failed(error.into()))?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// All networks but those that are hidden, by name.
fn rows(place: &Place) -> Result<Vec<Row>, Failure> {
    let containers = place.containers.all()?;
    let used: BTreeSet<&str> = containers
        .iter()
        .flat_map(|container| &container.record.spec.networks)
        .map(|wanted| wanted.network.as_str())
        .collect();
    let own = place.networks.all()?.into_iter().filter(|network| !network.hidden);
    let own = own.map(|network| Row {
        is_used: used.contains(network.name.as_str()),
        network: Some(network),
        predefined: None,
    });
    let predefined = predefined::ALL.iter().map(|one| Row { network: None, is_used: true, predefined: Some(one) });
    let mut rows: Vec<Row> = own.chain(predefined).collect();
    rows.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(rows)
}
