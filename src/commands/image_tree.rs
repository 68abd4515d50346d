//! `enter image tree`: the layers of an image, as podman prints them.

use std::process::ExitCode;

use enter::image::{Digest, Reference};
use enter::store::{Image, Layer, Store};

use crate::cli::ImageTreeArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// A layer, and what stands on it.
#[derive(Debug, Default)]
struct Node {
    text: String,
    above: Vec<Node>,
}

/// Prints the layers.
pub fn run(ui: &Ui, settings: &Settings, args: &ImageTreeArgs) -> Result<ExitCode, Failure> {
    let store = super::state::store()?;
    let image = super::tag::find(settings, &store, &args.image)?;
    let all = store.images()?;
    let diff_ids = &image.config.diff_ids;
    let nodes = match diff_ids.len() {
        0 => Vec::new(),
        count if args.whatrequires => vec![required(&store, &all, diff_ids, count)?],
        count => (1..=count).map(|count| node(&store, &all, &diff_ids[..count])).collect::<Result<_, _>>()?,
    };
    let mut output = ui.output();
    output.line(format!("Image ID: {}", image.id.short()));
    output.line(format!("Tags:     [{}]", names(&image)));
    output.line(format!("Size:     {}", human::long_size(image.size)));
    output.line(if nodes.is_empty() { "No Image Layers" } else { "Image Layers" });
    for line in lines(&nodes, "") {
        output.line(line);
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn names(image: &Image) -> String {
    image.names.iter().map(Reference::to_string).collect::<Vec<_>>().join(" ")
}

/// The last of these layers.
fn node(store: &Store, all: &[Image], chain: &[Digest]) -> Result<Node, Failure> {
    let layer = store.layers_here(&chain[chain.len() - 1..])?;
    let size = layer.iter().map(Layer::size).sum::<Result<u64, _>>()?;
    let named = all.iter().filter(|image| image.config.diff_ids == chain && !image.names.is_empty());
    let named: Vec<String> = named.map(names).collect();
    let top = if named.is_empty() { String::new() } else { format!(" Top Layer of: [{}]", named.join(" ")) };
    let id = chain.last().map(Digest::short).unwrap_or_default();
    Ok(Node { text: format!("ID: {id} Size: {:>7}{top}", human::long_size(size)), above: Vec::new() })
}

/// The last of the first `count` layers, with all that stands on it.
fn required(store: &Store, all: &[Image], chain: &[Digest], count: usize) -> Result<Node, Failure> {
    let mut node = node(store, all, &chain[..count])?;
    let mut next: Vec<&[Digest]> = Vec::new();
    for image in all.iter().filter(|image| image.config.diff_ids.starts_with(&chain[..count])) {
        if let Some(above) = image.config.diff_ids.get(..=count)
            && !next.contains(&above)
        {
            next.push(above);
        }
    }
    node.above = next.into_iter().map(|above| required(store, all, above, count + 1)).collect::<Result<_, _>>()?;
    Ok(node)
}

/// The lines of a tree. What stands on a layer alone is not moved to the right, so that a hundred layers stay within a screen.
fn lines(nodes: &[Node], before: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let mut chain = vec![node];
        while let [only] = &chain[chain.len() - 1].above[..] {
            chain.push(only);
        }
        let forks = &chain[chain.len() - 1].above;
        let last = number + 1 == nodes.len();
        for (number, node) in chain.iter().enumerate() {
            let end = last && number + 1 == chain.len();
            lines.push(format!("{before}{}{}", if end { "└── " } else { "├── " }, node.text));
        }
        lines.extend(self::lines(forks, &format!("{before}{}", if last { "    " } else { "│   " })));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str, above: Vec<Node>) -> Node {
        Node { text: text.into(), above }
    }

    #[test]
    fn chains_are_flat_and_forks_are_not() {
        let fork = vec![node("c", vec![node("d", vec![])]), node("e", vec![])];
        let tree = [node("a", vec![node("b", fork)])];
        assert_eq!(lines(&tree, ""), ["├── a", "└── b", "    ├── c", "    ├── d", "    └── e"]);
    }
}
