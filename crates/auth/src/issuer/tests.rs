use super::*;
use crate::access::Action;

#[test]
fn the_challenge_names_where_and_for_what() {
    let wanted = [Access::repository("a", Action::Pull), Access::repository("a", Action::Push)];
    assert_eq!(
        challenge("http://[::1]:5000/prefix", &wanted, Some("insufficient_scope")),
        "Bearer realm=\"http://[::1]:5000/prefix/v2/_token\",service=\"[::1]:5000\",\
         scope=\"repository:a:pull,push\",error=\"insufficient_scope\""
    );
    assert_eq!(
        challenge("https://r.example", &[], None),
        "Bearer realm=\"https://r.example/v2/_token\",service=\"r.example\""
    );
    // A host that a client made up breaks out of nothing.
    assert_eq!(
        challenge("https://a\",realm=\"b", &[], None),
        "Bearer realm=\"https://a\\\",realm=\\\"b/v2/_token\",service=\"a\\\",realm=\\\"b\""
    );
    assert_eq!(challenge("https://a\nb", &[], None), "Bearer");
}

#[test]
fn tokens_are_not_printed() {
    let response = TokenResponse { body: "secret".into() };
    assert_eq!(format!("{response:?}"), "TokenResponse");
}

#[test]
fn only_bad_requests_have_an_oauth_body() {
    let error = TokenError::Request { code: "invalid_request", description: "why" };
    let body = error.oauth_body();
    assert_eq!(body.as_deref(), Some(r#"{"error":"invalid_request","error_description":"why"}"#));
    assert_eq!(TokenError::NotHere.oauth_body(), None);
}
