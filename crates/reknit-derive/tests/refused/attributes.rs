use reknit_derive::Model;

struct Register<T>(T);
struct Text;
struct Document;

#[derive(Model)]
#[model(table = "albums")]
struct Album {
    #[model(unique)]
    title: Register<String>,
    #[model(id = 5)]
    year: Register<i32>,
    #[model(index, index)]
    plays: Register<i32>,
    #[model(default = "none")]
    liner: Text,
    #[model(index)]
    tracks: Document,
}

#[derive(Model)]
#[model]
struct Artist {
    name: Register<String>,
}

fn main() {}
