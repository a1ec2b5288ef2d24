//! A strict reader of the part of XML that a page is written in.

/// An element, without what is in it.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Every element of a page, in order.
///
/// # Panics
/// If the page is not well-formed.
pub(super) fn parse(page: &str) -> Vec<Element> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let (mut elements, mut open): (Vec<Element>, Vec<String>) = (vec![], vec![]);
    while let Some(start) = rest.find('<') {
        text(&rest[..start]);
        let end = start + tag_end(&rest[start..]);
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {:.80}", rest);
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let element = element(tag);
        // A browser takes these as empty, and no others outside a drawing.
        let void = ["meta", "link", "input"].contains(&element.name.as_str());
        let drawing = open.iter().any(|name| name == "svg");
        assert!(if closed { void || drawing } else { !void }, "<{tag}>");
        if !closed {
            open.push(element.name.clone());
        }
        elements.push(element);
    }
    assert_eq!(rest.trim(), "");
    assert!(open.is_empty(), "{open:?}");
    elements
}

/// Where a tag ends: not inside quotes.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    let end = tag.char_indices().find(|(_, char)| {
        quoted ^= *char == '"';
        *char == '>' && !quoted
    });
    end.expect("a tag ends").0
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(!name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric()), "<{tag}>");
    let mut attributes: Vec<(String, String)> = vec![];
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once("=\"").expect("an attribute has a value");
        let (value, after) = after.split_once('"').expect("a value ends");
        let name = name.trim();
        assert!(name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-'), "{name:?} in <{tag}>");
        assert!(attributes.iter().all(|(other, _)| other != name), "{name} twice in <{tag}>");
        text(value);
        attributes.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    Element { name: name.to_owned(), attributes }
}

/// Text has no bare `&`, no `<`, and no character that XML does not have.
fn text(text: &str) {
    assert!(!text.contains('<'), "{text:.80}");
    assert!(!text.chars().any(|char| char.is_control() && char != '\n' && char != '\t'), "{text:?}");
    for rest in text.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|entity| rest.starts_with(entity));
        assert!(known, "&{rest:.20}");
    }
}
