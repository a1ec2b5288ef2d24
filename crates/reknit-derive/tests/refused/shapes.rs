use reknit_derive::Model;

struct Register<T>(T);

#[derive(Model)]
struct Tuple(Register<String>);

#[derive(Model)]
struct Unit;

#[derive(Model)]
enum Either {
    One,
    Other,
}

#[derive(Model)]
struct Generic<T> {
    value: Register<T>,
}

fn main() {}
