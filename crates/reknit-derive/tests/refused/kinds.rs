use reknit_derive::Model;

struct Register<T>(T);

#[derive(Model)]
struct Album<'a> {
    title: String,
    year: Option<Register<i32>>,
    artists: &'a [Register<String>],
}

fn main() {}
