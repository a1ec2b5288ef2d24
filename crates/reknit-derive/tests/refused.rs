//! What no model can be made of is refused where it is written, in words that say what to write instead.

#[test]
fn what_is_no_model_is_refused_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
