//! The field syntax of `reknit put`.

use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One change to one field, as written on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Assignment {
    /// `title=Blue`, `year:=1971`
    Register { field: String, value: Json },
    /// `plays+=1`, `plays-=1`
    Counter { field: String, by: i64 },
    /// `body@=All of it`
    Text { field: String, text: String },
    /// `body@+=, and more`
    Append { field: String, text: String },
    /// `meta/label/city=Oslo` and all others with a slash; the path is a JSON pointer (RFC 6901)
    Document { field: String, path: String, change: DocumentChange },
}

/// What happens at a path of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DocumentChange {
    /// The value there becomes this one.
    Set(Json),
    /// A value is inserted before the list's item there.
    Insert(Json),
    /// The counter there is added to.
    Increment(i64),
    /// The text there becomes this one, changed only where it differs.
    Text(String),
    /// What is there goes.
    Remove,
}

impl Assignment {
    /// Whether a word is an assignment rather than an id.
    pub(crate) fn is_one(word: &str) -> bool {
        word.contains('=')
    }

    /// Reads an assignment.
    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        let (left, right) = word.split_once('=').ok_or_else(|| not_an_assignment(word))?;
        let (place, operator) = split_operator(left);
        let (field, path) = match place.find('/') {
            Some(end) => (&place[..end], Some(&place[end..])),
            None => (place, None),
        };
        if field.is_empty() {
            return Err(not_an_assignment(word));
        }
        let field = field.to_owned();
        match path {
            Some(path) => in_document(field, path, operator, right),
            None => in_field(field, operator, right),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Set,
    SetJson,
    InsertJson,
    Add,
    Subtract,
    Text,
    AppendText,
}

/// `left` is what stands before the first `=`: a place, and what makes the `=` special.
fn split_operator(left: &str) -> (&str, Operator) {
    let operators = [
        ("@+", Operator::AppendText),
        ("^:", Operator::InsertJson),
        (":", Operator::SetJson),
        ("+", Operator::Add),
        ("-", Operator::Subtract),
        ("@", Operator::Text),
    ];
    let found = operators.into_iter().find_map(|(mark, operator)| Some((left.strip_suffix(mark)?, operator)));
    found.unwrap_or((left, Operator::Set))
}

fn in_field(field: String, operator: Operator, right: &str) -> Result<Assignment, Failure> {
    Ok(match operator {
        Operator::Set => Assignment::Register { field, value: right.into() },
        Operator::SetJson => Assignment::Register { value: json(&field, right)?, field },
        Operator::Add => Assignment::Counter { by: whole(&field, right)?, field },
        Operator::Subtract => Assignment::Counter { by: negative(&field, right)?, field },
        Operator::Text => Assignment::Text { field, text: right.to_owned() },
        Operator::AppendText => Assignment::Append { field, text: right.to_owned() },
        Operator::InsertJson => {
            return Err(Failure::usage(format!(
                "{field}^:= inserts into a list of a document: write {field}/list/0^:={right}"
            )));
        }
    })
}

fn in_document(field: String, path: &str, operator: Operator, right: &str) -> Result<Assignment, Failure> {
    let change = match operator {
        // The `-` of `list/-=text`, the place after the last one, was taken for a subtraction's.
        Operator::Subtract if path.ends_with('/') => {
            let (path, change) = (format!("{path}-"), DocumentChange::Set(right.into()));
            return Ok(Assignment::Document { field, path, change });
        }
        Operator::Set => DocumentChange::Set(right.into()),
        Operator::SetJson if right.is_empty() => DocumentChange::Remove,
        Operator::SetJson => DocumentChange::Set(json(&field, right)?),
        Operator::InsertJson => DocumentChange::Insert(json(&field, right)?),
        Operator::Add => DocumentChange::Increment(whole(&field, right)?),
        Operator::Subtract => DocumentChange::Increment(negative(&field, right)?),
        Operator::Text => DocumentChange::Text(right.to_owned()),
        Operator::AppendText => {
            return Err(Failure::usage(format!(
                "@+= appends to a text field; in a document write {field}{path}@= and the whole text"
            )));
        }
    };
    // A pointer to the empty key is of no use here, so it means the whole.
    let path = if path == "/" { String::new() } else { path.to_owned() };
    Ok(Assignment::Document { field, path, change })
}

fn json(field: &str, text: &str) -> Result<Json, Failure> {
    serde_json::from_str(text).map_err(|cause| {
        Failure::usage(format!(
            "{field}:= wants JSON, and {text:?} is not ({cause}); for plain text write {field}="
        ))
    })
}

fn whole(field: &str, text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!("{field}+= and {field}-= want a whole number, and {text:?} is not one"))
    })
}

fn negative(field: &str, text: &str) -> Result<i64, Failure> {
    let by = whole(field, text)?;
    by.checked_neg().ok_or_else(|| Failure::usage(format!("{by} is too large")))
}

fn not_an_assignment(word: &str) -> Failure {
    Failure::usage(format!(
        "{word:?} is not an assignment: write field=text, field:=json, field+=1 or field@=text"
    ))
}

/// The part of `reknit put --help` about assignments.
pub(crate) const SYNTAX_HELP: &str = "\
Assignments:
  title=Blue                 register: the text \"Blue\" (last writer wins)
  year:=1971                 register: any JSON value
  plays+=1  plays-=1         counter: adds, and concurrent additions add up
  body@=Whole new text       text: becomes this, changing only what differs
  body@+=, and more          text: appends
  meta/label:={}             document: sets JSON at a path (a JSON pointer)
  meta/label/city=Oslo       document: sets a string
  meta/tracks/-=Blue         document: appends to a list (- is the place after the last)
  meta/tracks/0^:=\"Red\"     document: inserts before an item
  meta/sales+=5              document: adds to a counter
  meta/label/city@=Oslo N    document: a text that merges, changed only where it differs
  meta/tracks/0:=            document: removes
  meta/:={}                  document: sets all of it
A field keeps the kind of its first write.";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn document(path: &str, change: DocumentChange) -> Assignment {
        Assignment::Document { field: "meta".into(), path: path.into(), change }
    }

    #[test]
    fn every_line_of_the_help_reads_as_it_says() {
        let parse = |word| Assignment::parse(word).unwrap();
        let field = |name: &str| name.to_owned();
        assert_eq!(parse("title=Blue"), Assignment::Register { field: field("title"), value: json!("Blue") });
        assert_eq!(parse("year:=1971"), Assignment::Register { field: field("year"), value: json!(1971) });
        assert_eq!(parse("plays+=1"), Assignment::Counter { field: field("plays"), by: 1 });
        assert_eq!(parse("plays-=1"), Assignment::Counter { field: field("plays"), by: -1 });
        assert_eq!(parse("body@=a=b"), Assignment::Text { field: field("body"), text: "a=b".into() });
        assert_eq!(parse("body@+=, and"), Assignment::Append { field: field("body"), text: ", and".into() });
        assert_eq!(parse("meta/a:={}"), document("/a", DocumentChange::Set(json!({}))));
        assert_eq!(parse("meta/a/b=Oslo"), document("/a/b", DocumentChange::Set(json!("Oslo"))));
        assert_eq!(parse("meta/t/-=Blue"), document("/t/-", DocumentChange::Set(json!("Blue"))));
        assert_eq!(parse("meta/t/-:=[1]"), document("/t/-", DocumentChange::Set(json!([1]))));
        assert_eq!(parse("meta/t/0^:=\"c\""), document("/t/0", DocumentChange::Insert(json!("c"))));
        assert_eq!(parse("meta/sales+=5"), document("/sales", DocumentChange::Increment(5)));
        assert_eq!(parse("meta/sales-=5"), document("/sales", DocumentChange::Increment(-5)));
        assert_eq!(parse("meta/a@=N"), document("/a", DocumentChange::Text("N".into())));
        assert_eq!(parse("meta/t/0:="), document("/t/0", DocumentChange::Remove));
        assert_eq!(parse("meta/:={}"), document("", DocumentChange::Set(json!({}))));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_write() {
        for (word, says) in [
            ("title", "field=text"),
            ("=x", "field=text"),
            ("/a=x", "field=text"),
            ("year:=next", "for plain text write year="),
            ("plays+=many", "whole number"),
            ("plays-=-9223372036854775808", "too large"),
            ("list^:=1", "list/list/0^:=1"),
            ("meta/a@+=x", "whole text"),
        ] {
            let failure = Assignment::parse(word).unwrap_err();
            assert_eq!(failure.exit, crate::exit::Exit::Usage);
            assert!(failure.message.contains(says), "{word}: {}", failure.message);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_assigned(text in ".*") {
            let parsed = Assignment::parse(&format!("title={text}")).unwrap();
            prop_assert_eq!(parsed, Assignment::Register { field: "title".into(), value: text.into() });
        }

        #[test]
        fn no_word_makes_it_panic(word in ".*") {
            let _ = Assignment::parse(&word);
        }
    }
}
