//! What a container's parts have to say to the user.

use enter::container::Told;

use crate::ui::Ui;

/// Something that stops nothing.
pub fn warn(ui: &Ui, told: &Told) {
    let mut text = told.message.clone();
    let mut cause = &told.cause;
    while let Some(told) = cause {
        text = format!("{text}: {}", told.message);
        cause = &told.cause;
    }
    ui.warning(&text);
    if let Some(hint) = &told.hint {
        ui.note(&format!("hint: {hint}"));
    }
}
