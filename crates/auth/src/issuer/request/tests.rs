use super::*;

fn order(query: &str) -> Result<Order, TokenError> {
    TokenRequest { query, form: None, authorization: None, address: None }.parse()
}

fn scope(kind: &str, name: &str, actions: &[&str]) -> Scope {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Scope { kind: kind.into(), name: name.into(), actions }
}

#[test]
fn scopes_come_in_several_forms() {
    let expected =
        [scope("repository", "a/b", &["pull", "push"]), scope("registry", "catalog", &["*"])];
    for query in [
        "scope=repository:a/b:pull,push&scope=registry:catalog:*",
        "scope=repository%3Aa%2Fb%3Apull%2Cpush+registry%3Acatalog%3A%2A",
        "service=x&scope=repository:a/b:pull,push%20registry:catalog:*&account=alice",
        "scope=repository(plugin):a/b:pull,push&scope=registry:catalog:*",
    ] {
        assert_eq!(order(query).unwrap().scopes, expected, "{query}");
    }
    let port = order("scope=repository:host:5000/a:pull").unwrap().scopes;
    assert_eq!(port, [scope("repository", "host:5000/a", &["pull"])]);
}

#[test]
fn what_is_no_scope_is_not_granted() {
    for query in [
        "",
        "scope",
        "scope=",
        "scope=a",
        "scope=a:b",
        "scope=a:b:",
        "scope=:b:c",
        "scope=a::c",
        "scope=%ff:b:c",
        "Scope=a:b:c",
        "&&=&",
    ] {
        let order = order(query).unwrap();
        assert_eq!(order.scopes, [], "{query}");
        assert_eq!(order.login, Ok(None));
    }
}

#[test]
fn requests_are_bounded() {
    let many = "scope=repository:a:pull&".repeat(TOKEN_SCOPES_MAX);
    assert_eq!(order(&many).unwrap().scopes.len(), TOKEN_SCOPES_MAX);
    assert!(order(&(many + "scope=repository:a:pull")).is_err());
    assert!(order(&"x".repeat(TOKEN_REQUEST_BYTES_MAX + 1)).is_err());
}

#[test]
fn the_form_holds_the_login_and_the_query_does_not() {
    let form = "grant_type=password&username=al%C3%AFce&password=a%2Bb+c";
    let request = TokenRequest { query: "", form: Some(form), authorization: None, address: None };
    let login = request.parse().unwrap().login;
    assert_eq!(login, Ok(Credentials::new("alïce", b"a+b c")));
    assert_eq!(order(form).unwrap().login, Ok(None));
    let long = format!("grant_type=password&username=a&password={}", "p".repeat(2000));
    let request = TokenRequest { form: Some(&long), ..request };
    assert!(request.parse().unwrap().login.is_err());
}

proptest::proptest! {
    #[test]
    fn no_query_makes_it_panic(query in "(scope=)?[ -~é%&=+:,()]{0,80}") {
        let _ = order(&query);
    }
}
