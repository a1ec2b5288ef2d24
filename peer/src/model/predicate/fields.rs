//! The fields of a model, to be compared with something.

use super::Predicate;
use crate::model::{Ref, Register, ValueError, to_value};
use reknit_types::Value;
use serde::Serialize;
use std::marker::PhantomData;

/// How a field is reached from an entity: the field, after the references on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// The field that is stored under this id.
    #[doc(hidden)]
    pub fn to(id: &'static str) -> Self {
        Self(vec![id.to_owned()])
    }

    /// The path in SQL.
    pub fn sql(&self) -> String {
        let quoted = self.0.iter().map(|step| format!("\"{}\"", step.replace('"', "\"\"")));
        quoted.collect::<Vec<_>>().join(".")
    }

    fn then(mut self, rest: Self) -> Self {
        self.0.extend(rest.0);
        self
    }
}

/// A field of a model.
pub trait Field {
    /// Whose field it is.
    type Model;
    /// The same field, reached from another model.
    type From<R>: Field<Model = R>;

    /// How it is reached.
    fn reached(&self) -> &Path;

    /// The field at another path.
    #[doc(hidden)]
    fn at<R>(path: Path) -> Self::From<R>;
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident<M $(, $extra:ident)?>;)*) => {$(
        $(#[$doc])*
        pub struct $name<M $(, $extra)?> {
            path: Path,
            types: PhantomData<fn() -> (M, $($extra)?)>,
        }

        impl<M $(, $extra)?> $name<M $(, $extra)?> {
            /// The field at this path.
            #[doc(hidden)]
            pub fn new(path: Path) -> Self {
                Self { path, types: PhantomData }
            }

            /// The field holds nothing.
            pub fn is_null(&self) -> Predicate<M> {
                Predicate::new(format!("{} IS NULL", self.path.sql()), vec![])
            }

            /// The field holds something.
            pub fn is_not_null(&self) -> Predicate<M> {
                Predicate::new(format!("{} IS NOT NULL", self.path.sql()), vec![])
            }
        }

        impl<M $(, $extra)?> Field for $name<M $(, $extra)?> {
            type Model = M;
            type From<R> = $name<R $(, $extra)?>;

            fn reached(&self) -> &Path {
                &self.path
            }

            fn at<R>(path: Path) -> Self::From<R> {
                $name::new(path)
            }
        }
    )*};
}

fields! {
    /// A register of a model.
    RegisterField<M, T>;
    /// A reference of a model.
    ReferenceField<M, A>;
    /// A counter of a model.
    CounterField<M>;
    /// A text of a model.
    TextField<M>;
    /// A document of a model.
    DocumentField<M>;
    /// What is at a path of a document of a model.
    DocumentPath<M>;
}

/// Values that queries know an order of. An app's own type has one if it is stored as one of these, a date as text say,
/// in the same order.
#[diagnostic::on_unimplemented(
    message = "queries know no order of `{Self}`",
    note = "numbers, text and bools have one; other types can be compared with `eq`, `ne` and `in_` only"
)]
pub trait Ordered {}

macro_rules! ordered {
    ($($type:ty)*) => {$(impl Ordered for $type {})*};
}

ordered!(bool i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 char String);

/// `field OP ?` and the like.
fn compare<M>(path: &Path, rest: &str, operands: Vec<Result<Value, ValueError>>) -> Predicate<M> {
    let sql = format!("{} {rest}", path.sql());
    let mut predicate = Predicate::new(sql, vec![]);
    for operand in operands {
        match operand {
            Ok(value) => predicate.params.push(value),
            Err(why) => predicate = predicate.refused(path.sql(), why),
        }
    }
    predicate
}

fn one_of<M>(path: &Path, operands: Vec<Result<Value, ValueError>>) -> Predicate<M> {
    if operands.is_empty() {
        // SQL has no empty list, and nothing is in it.
        return Predicate::new("1 = 0".to_owned(), vec![]);
    }
    let marks = vec!["?"; operands.len()].join(", ");
    compare(path, &format!("IN ({marks})"), operands)
}

impl<M, T: Serialize> RegisterField<M, T> {
    /// The field equals `value`.
    pub fn eq(&self, value: impl Into<Register<T>>) -> Predicate<M> {
        self.compare("= ?", value)
    }

    /// The field holds something other than `value`.
    pub fn ne(&self, value: impl Into<Register<T>>) -> Predicate<M> {
        self.compare("<> ?", value)
    }

    /// The field equals one of `values`.
    pub fn in_(&self, values: impl IntoIterator<Item = impl Into<Register<T>>>) -> Predicate<M> {
        one_of(&self.path, values.into_iter().map(|value| to_value(&value.into().0)).collect())
    }

    fn compare(&self, operator: &str, value: impl Into<Register<T>>) -> Predicate<M> {
        compare(&self.path, operator, vec![to_value(&value.into().0)])
    }
}

macro_rules! ordered_comparisons {
    ($($(#[$doc:meta])* $method:ident $operator:literal;)*) => {$(
        $(#[$doc])*
        pub fn $method(&self, value: impl Into<Register<T>>) -> Predicate<M>
        where
            T: Ordered,
        {
            self.compare($operator, value)
        }
    )*};
}

// The bound is that of the methods: so the compiler says that there is no order, not that there is no method.
impl<M, T: Serialize> RegisterField<M, T> {
    ordered_comparisons! {
        /// The field is less than `value`.
        lt "< ?";
        /// The field is `value` or less.
        le "<= ?";
        /// The field is greater than `value`.
        gt "> ?";
        /// The field is `value` or greater.
        ge ">= ?";
    }

    /// The field is one of the two or lies between them.
    pub fn between(&self, least: impl Into<Register<T>>, greatest: impl Into<Register<T>>) -> Predicate<M>
    where
        T: Ordered,
    {
        let operands = vec![to_value(&least.into().0), to_value(&greatest.into().0)];
        compare(&self.path, "BETWEEN ? AND ?", operands)
    }
}

macro_rules! like {
    ($($type:ty),*) => {$(
        impl<M> $type {
            /// The text has this form: `%` stands for any characters, `_` for one.
            pub fn like(&self, form: &str) -> Predicate<M> {
                compare(&self.path, "LIKE ?", vec![Ok(form.into())])
            }

            /// The text has this form, small letters and capitals being one.
            pub fn ilike(&self, form: &str) -> Predicate<M> {
                compare(&self.path, "ILIKE ?", vec![Ok(form.into())])
            }
        }
    )*};
}

like!(RegisterField<M, String>, TextField<M>, DocumentPath<M>);

impl<M, A> ReferenceField<M, A> {
    /// A field of the entity that this refers to.
    pub fn then<F: Field<Model = A>>(&self, field: F) -> F::From<M> {
        F::at(self.path.clone().then(field.reached().clone()))
    }

    /// The field refers to this entity.
    pub fn eq(&self, reference: impl Into<Ref<A>>) -> Predicate<M> {
        compare(&self.path, "= ?", vec![Ok(reference.into().into())])
    }

    /// The field refers to another entity.
    pub fn ne(&self, reference: impl Into<Ref<A>>) -> Predicate<M> {
        compare(&self.path, "<> ?", vec![Ok(reference.into().into())])
    }

    /// The field refers to one of these.
    pub fn in_(&self, references: impl IntoIterator<Item = impl Into<Ref<A>>>) -> Predicate<M> {
        one_of(&self.path, references.into_iter().map(|reference| Ok(reference.into().into())).collect())
    }
}

macro_rules! counter {
    ($($(#[$doc:meta])* $method:ident $operator:literal;)*) => {
        impl<M> CounterField<M> {$(
            $(#[$doc])*
            pub fn $method(&self, value: i64) -> Predicate<M> {
                compare(&self.path, $operator, vec![Ok(Value::Int(value))])
            }
        )*}
    };
}

counter! {
    /// The counter stands at `value`.
    eq "= ?";
    /// The counter stands elsewhere than at `value`.
    ne "<> ?";
    /// The counter is less than `value`.
    lt "< ?";
    /// The counter is `value` or less.
    le "<= ?";
    /// The counter is greater than `value`.
    gt "> ?";
    /// The counter is `value` or greater.
    ge ">= ?";
}

impl<M> CounterField<M> {
    /// The counter is one of the two or lies between them.
    pub fn between(&self, least: i64, greatest: i64) -> Predicate<M> {
        compare(&self.path, "BETWEEN ? AND ?", vec![Ok(Value::Int(least)), Ok(Value::Int(greatest))])
    }
}

impl<M> TextField<M> {
    /// The words are in the text.
    pub fn matches(&self, words: &str) -> Predicate<M> {
        Predicate::new(format!("MATCH({}, ?)", self.path.sql()), vec![words.into()])
    }

    /// The text is exactly this.
    pub fn eq(&self, text: &str) -> Predicate<M> {
        compare(&self.path, "= ?", vec![Ok(text.into())])
    }

    /// The text is another than this.
    pub fn ne(&self, text: &str) -> Predicate<M> {
        compare(&self.path, "<> ?", vec![Ok(text.into())])
    }
}

impl<M> DocumentField<M> {
    /// What is at a path of the document: keys and places in lists with dots between, as in `sides.0.title`.
    pub fn path(&self, path: &str) -> DocumentPath<M> {
        let steps = path.split('.').map(str::to_owned).collect();
        DocumentPath::new(self.path.clone().then(Path(steps)))
    }
}

macro_rules! document {
    ($($(#[$doc:meta])* $method:ident $operator:literal;)*) => {
        impl<M> DocumentPath<M> {$(
            $(#[$doc])*
            pub fn $method(&self, value: impl Serialize) -> Predicate<M> {
                compare(&self.path, $operator, vec![to_value(&value)])
            }
        )*}
    };
}

document! {
    /// What is there equals `value`.
    eq "= ?";
    /// Something other than `value` is there.
    ne "<> ?";
    /// What is there is less than `value`.
    lt "< ?";
    /// What is there is `value` or less.
    le "<= ?";
    /// What is there is greater than `value`.
    gt "> ?";
    /// What is there is `value` or greater.
    ge ">= ?";
}

impl<M> DocumentPath<M> {
    /// A key below, dots in it included.
    pub fn key(&self, key: &str) -> Self {
        Self::new(self.path.clone().then(Path(vec![key.to_owned()])))
    }

    /// What is there equals one of `values`.
    pub fn in_(&self, values: impl IntoIterator<Item = impl Serialize>) -> Predicate<M> {
        one_of(&self.path, values.into_iter().map(|value| to_value(&value)).collect())
    }

    /// What is there is one of the two or lies between them.
    pub fn between(&self, least: impl Serialize, greatest: impl Serialize) -> Predicate<M> {
        compare(&self.path, "BETWEEN ? AND ?", vec![to_value(&least), to_value(&greatest)])
    }
}
