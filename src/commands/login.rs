//! `enter login` and `enter logout`: credentials are asked for, shown to the registry, and kept only if it takes them.

use std::io::Read as _;
use std::process::ExitCode;

use enter::registry::{self, Configuration, Credentials, Environment, Forgotten, Keeper, Kept, Place, Transfer};

use super::{reach, resolve};
use crate::cli::{LoginArgs, LogoutArgs};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::{self, Ui};

/// The longest password that is read from a pipe, in bytes.
const LONGEST: u64 = 64 << 10;

/// A login that is under way.
struct Login<'a> {
    ui: &'a Ui,
    args: &'a LoginArgs,
    environment: &'a Environment,
    configuration: &'a Configuration,
    transfer: Transfer,
    place: Place,
}

/// Logs in to a registry.
pub fn login(ui: &Ui, settings: &Settings, args: &LoginArgs) -> Result<ExitCode, Failure> {
    if let Some(password) = &args.password {
        // Where it cannot be done, whoever looks was able to see it before.
        let _ = sys::arguments::wipe(password);
        ui.warning("others may have seen the password on the command line: have it asked for, or use --password-stdin");
    }
    let options = resolve::options(settings);
    let mut environment = reach::any_file(options.environment, &args.reach);
    if let Some(compat) = &args.compat_auth_file {
        environment = environment.with_auth_file(compat);
    }
    let configuration = Configuration::load(&environment)?;
    let place = place(args.registry.as_deref(), &configuration)?;
    let (environment, configuration) = (&environment, &configuration);
    let login = Login { ui, args, environment, configuration, transfer: options.transfer, place };
    if args.get_login { login.get() } else { login.run() }
}

impl Login<'_> {
    /// Prints who is logged in.
    fn get(&self) -> Result<ExitCode, Failure> {
        let known = self.known()?.ok_or_else(|| not_logged_in(&self.place))?;
        let mut output = self.ui.output();
        output.line(known.user().unwrap_or("<token>"));
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }

    fn run(&self) -> Result<ExitCode, Failure> {
        let typed = self.args.username.is_some() || self.args.password.is_some() || self.args.password_stdin;
        let known = if typed { None } else { self.known()? };
        if let Some(known) = &known {
            self.ui.note(&format!("Authenticating with existing credentials for {}", self.place));
            match self.check(known) {
                Ok(()) => {
                    return self.say(&format!("Existing credentials are valid. Already logged in to {}", self.place));
                }
                Err(registry::Error::Login { .. }) if ui::is_answerable() => {
                    self.ui.note("Existing credentials are invalid, please enter valid username and password");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let credentials = self.ask(known.as_ref().and_then(Credentials::user))?;
        self.check(&credentials)?;
        let keeper =
            Keeper::new(self.environment, self.configuration.helpers(), self.args.compat_auth_file.as_deref())?;
        let kept = keeper.keep(&self.place, &credentials)?;
        if self.args.verbose {
            self.ui.note(&match kept {
                Kept::File(path) => format!("Used: {}", path.display()),
                Kept::Helper(name) => format!("Used: docker-credential-{name}"),
            });
        }
        self.say("Login Succeeded!")
    }

    fn known(&self) -> Result<Option<Credentials>, Failure> {
        Ok(registry::credentials(self.environment, self.configuration.helpers(), &self.place)?)
    }

    fn check(&self, credentials: &Credentials) -> Result<(), registry::Error> {
        registry::check_login(self.environment, self.configuration, &self.transfer, &self.place, credentials)
    }

    /// What is typed, read or was given.
    fn ask(&self, known: Option<&str>) -> Result<Credentials, Failure> {
        let (args, place) = (self.args, &self.place);
        let nobody = || {
            Failure::new(format!("cannot ask for the user name and password for {place}: there is no terminal"))
                .with_hint("give -u NAME and --password-stdin")
        };
        let given_up = || Failure::new("nothing was typed").with_hint("try again");
        if args.password_stdin && args.username.is_none() {
            return Err(
                Failure::new("--password-stdin leaves no way to ask for the user name").with_hint("give -u NAME")
            );
        }
        let user = match &args.username {
            Some(user) => user.clone(),
            None if !ui::is_answerable() => return Err(nobody()),
            None => {
                let question = known.map_or("Username: ".to_owned(), |known| format!("Username ({known}): "));
                let typed = self.ui.ask_line(&question)?.ok_or_else(given_up)?;
                if typed.trim().is_empty() { known.unwrap_or_default().to_owned() } else { typed.trim().to_owned() }
            }
        };
        if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
            return Err(Failure::new("this is no user name: it is empty, or has a colon or a control character in it")
                .with_hint("a password goes to --password-stdin, or is asked for"));
        }
        let password = match &args.password {
            Some(password) => password.clone(),
            None if args.password_stdin => read_password()?,
            None if !ui::is_answerable() => return Err(nobody()),
            None => self.ui.ask_secret("Password: ")?.ok_or_else(given_up)?,
        };
        if password.is_empty() {
            return Err(Failure::new("the password is empty").with_hint("give the one of the user, or an access token"));
        }
        Ok(Credentials::Password { user, password })
    }

    fn say(&self, text: &str) -> Result<ExitCode, Failure> {
        let mut output = self.ui.output();
        output.line(text);
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The password on standard input, without the newline that most commands put behind it.
fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new("cannot read the password from the standard input").because(error))?;
    if text.len() as u64 > LONGEST {
        return Err(Failure::new("what is on the standard input is too long for a password"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Forgets credentials.
pub fn logout(ui: &Ui, settings: &Settings, args: &LogoutArgs) -> Result<ExitCode, Failure> {
    let mut environment = resolve::options(settings).environment;
    if let Some(path) = &args.authfile {
        reach::check(path)?;
        environment = environment.with_auth_file(path);
    }
    let configuration = Configuration::load(&environment)?;
    let keeper = Keeper::new(&environment, configuration.helpers(), args.compat_auth_file.as_deref())?;
    let mut output = ui.output();
    if args.all {
        keeper.forget_all()?;
        output.line("Removed login credentials for all registries");
        output.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    let place = place(args.registry.as_deref(), &configuration)?;
    if keeper.forget(&place)? == Forgotten::Nothing {
        let elsewhere = registry::credentials(&environment, configuration.helpers(), &place)?.is_some();
        let failure = not_logged_in(&place);
        return Err(if elsewhere {
            failure.with_hint(format!(
                "there are credentials elsewhere, perhaps by docker login: enter logout --compat-auth-file ~/.docker/config.json {place}"
            ))
        } else {
            failure
        });
    }
    output.line(format!("Removed login credentials for {place}"));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn not_logged_in(place: &Place) -> Failure {
    Failure::new(format!("not logged into {place}")).with_hint(format!("log in: enter login {place}"))
}

/// The registry that is meant.
fn place(typed: Option<&str>, configuration: &Configuration) -> Result<Place, Failure> {
    match typed {
        Some(typed) => Ok(Place::parse(typed)?),
        None => Ok(Place::parse(configuration.first_registry())?),
    }
}
