//! `enter version`. There is no daemon: the client is the server, and both have this version.

use std::process::ExitCode;

use enter::image::Platform;
use nix::sys::utsname::uname;
use serde_json::{Value, json};

use super::described;
use crate::cli::DescribeArgs;
use crate::commands::called::Called;
use crate::failure::Failure;
use crate::ui::Ui;

/// The version of docker's API whose JSON is spoken here; scripts compare it.
const API: &str = "1.47";

/// Prints it.
pub fn run(ui: &Ui, args: &DescribeArgs) -> Result<ExitCode, Failure> {
    let value = value();
    let mut output = ui.output();
    if let Some(text) = described(&value, args.format.as_deref())? {
        output.line(text);
    } else {
        for (title, part) in [("Client: enter", &value["Client"]), ("\nServer: enter (no daemon)", &value["Server"])] {
            output.line(title);
            for (name, field) in [
                ("Version", "Version"),
                ("API version", "ApiVersion"),
                ("OS/Arch", ""),
                ("Kernel version", "KernelVersion"),
            ] {
                let text = part[field].as_str().map(ToOwned::to_owned);
                let pair = || {
                    format!("{}/{}", part["Os"].as_str().unwrap_or_default(), part["Arch"].as_str().unwrap_or_default())
                };
                let text = if field.is_empty() { Some(pair()) } else { text };
                if let Some(text) = text {
                    output.line(format!(" {:<18}{text}", format!("{name}:")));
                }
            }
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn value() -> Value {
    let host = Platform::host();
    // By another's name, the version is that of the interface; the words say whose program it is.
    let version = Called::now().version();
    json!({
        "Client": {
            "Platform": { "Name": "enter" },
            "Version": version,
            "ApiVersion": API,
            "DefaultAPIVersion": API,
            "Os": host.os,
            "Arch": host.architecture,
            "Context": "default",
        },
        "Server": {
            "Platform": { "Name": "enter" },
            "Components": [{ "Name": "Engine", "Version": version, "Details": {} }],
            "Version": version,
            "ApiVersion": API,
            "MinAPIVersion": API,
            "Os": host.os,
            "Arch": host.architecture,
            "KernelVersion": uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default(),
            "Experimental": false,
        },
    })
}
