//! Pulling without a login.

use super::*;
use crate::issuer::TokenError;

const CHALLENGE: &str =
    "Bearer realm=\"https://registry.example.com/v2/_token\",service=\"registry.example.com\"";

fn request<'a>(
    query: &'a str,
    form: Option<&'a str>,
    authorization: Option<&'a HeaderValue>,
) -> TokenRequest<'a> {
    TokenRequest { query, form, authorization, address: None }
}

/// The token, as a header.
async fn token(htpasswd: &Htpasswd, query: &str, login: Option<&HeaderValue>) -> HeaderValue {
    bearer(&htpasswd.token(request(query, None, login)).await.unwrap())
}

fn bearer(response: &TokenResponse) -> HeaderValue {
    let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 300);
    HeaderValue::from_str(&format!("Bearer {}", body["token"].as_str().unwrap())).unwrap()
}

#[tokio::test]
async fn pulling_needs_no_login_and_the_rest_does() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open_anonymous();
    assert!(htpasswd.issues_tokens());
    assert_eq!(ask(&htpasswd, None, &pull()).await, Ok(Grant::anonymous()));
    // docker logs in only if this is refused.
    assert_eq!(refused(ask(&htpasswd, None, &[]).await), (CHALLENGE.to_owned(), "missing"));
    let (challenge, kind) = refused(ask(&htpasswd, None, &push()).await);
    assert_eq!(challenge, format!("{CHALLENGE},scope=\"repository:a/b:pull,push\""));
    assert_eq!(kind, "missing");
    let delete = [Access::repository("a/b", Action::Delete)];
    assert!(ask(&htpasswd, None, &delete).await.is_err());
    let (challenge, _) = refused(ask(&htpasswd, None, &[Access::catalog()]).await);
    assert_eq!(challenge, format!("{CHALLENGE},scope=\"registry:catalog:*\""));
    // Credentials are good everywhere, and wrong ones are not as good as none.
    let alice = basic("alice", "secret");
    assert_eq!(ask(&htpasswd, Some(&alice), &push()).await, Ok(Grant::to("alice")));
    assert_eq!(ask(&htpasswd, Some(&alice), &[]).await, Ok(Grant::to("alice")));
    let wrong = ask(&htpasswd, Some(&basic("alice", "wrong")), &pull()).await;
    assert_eq!(refused(wrong).1, "credentials");
    let garbage = HeaderValue::from_static("Digest x");
    assert_eq!(refused(ask(&htpasswd, Some(&garbage), &pull()).await).1, "malformed");
}

#[tokio::test]
async fn the_catalog_can_be_opened_too() {
    let home = Home::new(&line("alice", "secret"));
    let options = HtpasswdOptions { anonymous_catalog: true, ..home.options() };
    let only_catalog = Htpasswd::open(options.clone()).unwrap();
    assert!(ask(&only_catalog, None, &[Access::catalog()]).await.is_ok());
    assert!(ask(&only_catalog, None, &pull()).await.is_err());
    let nobody = token(&only_catalog, "scope=registry:catalog:*", None).await;
    assert!(ask(&only_catalog, Some(&nobody), &[Access::catalog()]).await.is_ok());
    assert!(ask(&only_catalog, Some(&nobody), &pull()).await.is_err());
    let both = Htpasswd::open(HtpasswdOptions { anonymous_pull: true, ..options }).unwrap();
    assert!(ask(&both, None, &[Access::catalog()]).await.is_ok());
    assert!(ask(&both, None, &pull()).await.is_ok());
}

#[tokio::test]
async fn an_anonymous_token_is_for_pulling_only() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open_anonymous();
    let query = "service=registry.example.com&scope=repository%3Aa%2Fb%3Apull%2Cpush";
    let nobody = token(&htpasswd, query, None).await;
    assert_eq!(ask(&htpasswd, Some(&nobody), &[]).await, Ok(Grant::anonymous()));
    assert_eq!(ask(&htpasswd, Some(&nobody), &pull()).await, Ok(Grant::anonymous()));
    let (challenge, kind) = refused(ask(&htpasswd, Some(&nobody), &push()).await);
    let expected = "scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"";
    assert_eq!(challenge, format!("{CHALLENGE},{expected}"));
    assert_eq!(kind, "scope");
}

#[tokio::test]
async fn a_user_s_token_is_for_what_was_asked_for() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open_anonymous();
    let alice = basic("alice", "secret");
    let query = "account=alice&client_id=docker&offline_token=true&scope=repository:a/b:pull,push";
    let hers = token(&htpasswd, query, Some(&alice)).await;
    assert_eq!(ask(&htpasswd, Some(&hers), &push()).await, Ok(Grant::to("alice")));
    assert_eq!(ask(&htpasswd, Some(&hers), &[]).await, Ok(Grant::to("alice")));
    for beyond in [
        Access::repository("a/b", Action::Delete),
        Access::repository("a", Action::Pull),
        Access::catalog(),
    ] {
        assert_eq!(refused(ask(&htpasswd, Some(&hers), &[beyond]).await).1, "scope");
    }
    let star = token(&htpasswd, "scope=repository:a/b:*", Some(&alice)).await;
    let delete = [Access::repository("a/b", Action::Delete)];
    assert!(ask(&htpasswd, Some(&star), &delete).await.is_ok());
    let mount =
        token(&htpasswd, "scope=repository:a:pull&scope=repository:b:pull,push", Some(&alice));
    let from = [Access::repository("a", Action::Pull), Access::repository("b", Action::Push)];
    assert!(ask(&htpasswd, Some(&mount.await), &from).await.is_ok());
}

#[tokio::test]
async fn the_form_of_oauth2_works_too() {
    let home = Home::new(&line("alice", "se cret&"));
    let htpasswd = home.open_anonymous();
    let form = "grant_type=password&service=x&client_id=containerd-client&username=alice&\
                password=se+cret%26&scope=repository%3Aa%2Fb%3Apull%2Cpush&access_type=offline";
    let hers = bearer(&htpasswd.token(request("", Some(form), None)).await.unwrap());
    assert_eq!(ask(&htpasswd, Some(&hers), &push()).await, Ok(Grant::to("alice")));
    let wrong = form.replace("se+cret%26", "wrong");
    let refused = htpasswd.token(request("", Some(&wrong), None)).await;
    assert!(matches!(refused, Err(TokenError::Refused(Refusal::Unauthorized(_)))), "{refused:?}");
    for (form, code) in [
        ("grant_type=refresh_token&refresh_token=x&service=x", "unsupported_grant_type"),
        ("grant_type=password&username=alice", "invalid_request"),
        ("username=alice&password=x", "invalid_request"),
        ("", "invalid_request"),
    ] {
        let error = htpasswd.token(request("", Some(form), None)).await.unwrap_err();
        let body: serde_json::Value = serde_json::from_str(&error.oauth_body().unwrap()).unwrap();
        assert_eq!(body["error"], code, "{form}");
    }
}

#[tokio::test]
async fn wrong_credentials_get_no_token_and_a_basic_challenge() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open_anonymous();
    for (login, kind) in [
        (basic("alice", "wrong"), "credentials"),
        (basic("nobody", "secret"), "credentials"),
        (HeaderValue::from_static("Basic %"), "malformed"),
        (HeaderValue::from_static("Bearer x"), "malformed"),
    ] {
        match htpasswd.token(request("scope=repository:a:pull", None, Some(&login))).await {
            Err(TokenError::Refused(Refusal::Unauthorized(refused))) => {
                assert_eq!(refused.challenge, "Basic realm=\"Registry \\\"Realm\\\"\"");
                assert_eq!(refused.kind, kind);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(home.open().token(request("", None, None)).await, Err(TokenError::NotHere));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_user_and_with_the_password() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open_anonymous();
    let query = "scope=repository:a/b:pull,push";
    let hers = token(&htpasswd, query, Some(&basic("alice", "secret"))).await;
    assert!(ask(&htpasswd, Some(&hers), &push()).await.is_ok());
    std::fs::write(&home.path, line("alice", "another")).unwrap();
    later().await;
    let (challenge, kind) = refused(ask(&htpasswd, Some(&hers), &pull()).await);
    assert!(challenge.ends_with(",scope=\"repository:a/b:pull\",error=\"invalid_token\""));
    assert_eq!(kind, "token");
    let hers = token(&htpasswd, query, Some(&basic("alice", "another"))).await;
    assert!(ask(&htpasswd, Some(&hers), &push()).await.is_ok());
    std::fs::write(&home.path, line("bob", "another")).unwrap();
    later().await;
    assert!(ask(&htpasswd, Some(&hers), &push()).await.is_err());
}
