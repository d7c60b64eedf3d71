//! Input that wants to eat memory or stack gets an error.

use super::*;

#[track_caller]
fn fails_with(text: &str, expected: &str) {
    let errors = errors(text, &[]);
    assert!(errors[0].contains(expected), "{errors:?}");
}

#[test]
fn alias_bomb() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let item = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![item; 10].join(", "));
    }
    fails_with(&bomb, "too much content");
}

#[test]
fn alias_of_a_long_text() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 100].join(", "));
    fails_with(&text, "too much content");
}

#[test]
fn depth() {
    fails_with(&"[".repeat(100_000), "not valid YAML");
    let deep = (0..100).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>();
    fails_with(&deep, "not valid YAML");
    // Aliases can't go deeper than brackets can.
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    fails_with(&text, "nested too deeply");
}

#[test]
fn size() {
    let text = with(&format!("# {}", "x".repeat(limits::FILE_SIZE_BYTES_MAX)));
    fails_with(&text, "larger than 1048576 bytes");
    let value = "x".repeat(limits::VARIABLE_SIZE_BYTES_MAX + 1);
    let errors = errors(&with(""), &[("REGISTRY_HTTP_SECRET", &value)]);
    assert!(errors[0].contains("the value is larger than 131072 bytes"));
}

#[test]
fn many_nodes_and_many_findings() {
    fails_with(&with(&format!("x: [{}]", "1,".repeat(60_000))), "too much content");
    let many = (0..1000).map(|n| format!("unknown-{n}: 1\n")).collect::<String>();
    assert_eq!(warnings(&with(&many), &[]).len(), limits::DIAGNOSTICS_MAX);
    let many = (0..1000).map(|n| format!("    bad name {n}: [x]\n")).collect::<String>();
    let errors = errors(&with(&format!("http:\n  headers:\n{many}")), &[]);
    assert_eq!(errors.len(), limits::DIAGNOSTICS_MAX + 1);
    assert!(errors[limits::DIAGNOSTICS_MAX].ends_with("800 more errors are not shown"));
}

#[test]
fn many_variables() {
    let names: Vec<String> =
        (0..=limits::VARIABLES_MAX).map(|n| format!("REGISTRY_LOG_FIELDS_F{n}")).collect();
    let variables: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let errors = errors(&with(""), &variables);
    assert!(errors[0].contains("more than 4096 variables"));
}

#[test]
fn a_regular_expression_that_explodes() {
    let text = with("validation: {manifests: {urls: {allow: ['(a{1000}){1000}']}}}");
    fails_with(&text, "is not a regular expression");
}

#[test]
fn many_warnings_hide_no_error() {
    let many = (0..1000).map(|n| format!("unknown-{n}: 1\n")).collect::<String>();
    let errors = errors(&with(&format!("{many}tags: {{maxtags: x}}")), &[]);
    assert_eq!(errors, ["config.yml:1004:17: tags.maxtags: `x` is no integer"]);
}
