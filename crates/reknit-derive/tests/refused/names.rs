use reknit_derive::Model;

struct Register<T>(T);

#[derive(Model)]
#[model(collection = "reknit.albums")]
struct Album {
    id: Register<String>,
    delete: Register<bool>,
    #[model(id = " title ")]
    title: Register<String>,
    #[model(id = "")]
    year: Register<i32>,
    #[model(id = "id")]
    number: Register<i32>,
}

#[derive(Model)]
struct Artist {
    name: Register<String>,
    #[model(id = "name")]
    stage_name: Register<String>,
}

fn main() {}
