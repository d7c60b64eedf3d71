use super::*;
use crate::htpasswd::hash::bcrypt_hash;
use crate::limits::FAILURES_OF_USER_MAX;

const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

fn line(user: &str, password: &str, cost: u32) -> String {
    format!("{user}:{}\n", bcrypt_hash(password.as_bytes(), cost).unwrap())
}

fn users(text: &str) -> Users {
    Users::parse(text.as_bytes()).unwrap().0
}

fn login(user: &str, password: &str) -> Credentials {
    Credentials::new(user, password.as_bytes()).unwrap()
}

async fn good(verifier: &Verifier, users: &Users, user: &str, password: &str) -> bool {
    let found = verifier.verify(users, &login(user, password), HOME).await.unwrap();
    if let Some(found) = &found {
        assert_eq!(&*found.name, user);
    }
    found.is_some()
}

#[tokio::test(start_paused = true)]
async fn what_was_verified_is_remembered_for_a_minute() {
    let verifier = Verifier::new();
    let users = users(&line("alice", "secret", 4));
    for _ in 0..20 {
        assert!(good(&verifier, &users, "alice", "secret").await);
    }
    assert_eq!(verifier.computed(), 1);
    // A wrong password is not taken for the right one, and is computed each time.
    assert!(!good(&verifier, &users, "alice", "secres").await);
    assert!(!good(&verifier, &users, "alice", "secres").await);
    assert_eq!(verifier.computed(), 3);
    tokio::time::advance(VERIFIED_LIFETIME - Duration::from_secs(1)).await;
    assert!(good(&verifier, &users, "alice", "secret").await);
    assert_eq!(verifier.computed(), 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(good(&verifier, &users, "alice", "secret").await);
    assert_eq!(verifier.computed(), 4);
}

/// Whatever was looked at, a failure is answered at a time that the dearest hash says.
#[tokio::test]
async fn failures_take_as_long_as_the_dearest_hash_in_a_file_that_mixes_costs() {
    let verifier = Verifier::new();
    let mixed = users(&(line("alice", "secret", 4) + &line("bob", "secret", 9)));
    // The first one measures.
    assert!(!good(&verifier, &mixed, "bob", "wrong").await);
    let beat = verifier.shared.beat.of(mixed.dearest());
    assert!(beat > Duration::ZERO);
    for user in ["alice", "bob", "nobody", "somebody", "anybody"] {
        let started = Instant::now();
        assert!(!good(&verifier, &mixed, user, "wrong as well").await);
        assert!(started.elapsed() >= beat, "{user}");
    }
    let started = Instant::now();
    assert!(good(&verifier, &mixed, "alice", "secret").await);
    assert!(started.elapsed() < beat, "who knows the password is known to be there");
    let uniform = users(&(line("alice", "secret", 4) + &line("bob", "secret", 4)));
    assert_eq!(verifier.shared.beat.of(uniform.dearest()), Duration::ZERO);
}

#[tokio::test]
async fn another_file_is_another_matter() {
    let verifier = Verifier::new();
    let before = users(&(line("alice", "secret", 4) + &line("bob", "secret", 4)));
    assert!(good(&verifier, &before, "alice", "secret").await);
    // The same password with a new salt is verified again; another one is not accepted.
    let salted = users(&line("alice", "secret", 4));
    assert!(good(&verifier, &salted, "alice", "secret").await);
    assert_eq!(verifier.computed(), 2);
    let changed = users(&line("alice", "changed", 4));
    assert!(!good(&verifier, &changed, "alice", "secret").await);
    let gone = users(&line("bob", "secret", 4));
    assert!(!good(&verifier, &gone, "alice", "secret").await);
    assert!(good(&verifier, &before, "alice", "secret").await);
    // A user's hash under another name is another user's.
    let hash = line("alice", "secret", 4).replacen("alice", "mallory", 1);
    assert!(!good(&verifier, &users(&hash), "alice", "secret").await);
}

#[tokio::test]
async fn logins_at_the_same_time_are_verified_once() {
    let verifier = Arc::new(Verifier::new());
    let users = Arc::new(users(&line("alice", "secret", 8)));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (verifier, users) = (Arc::clone(&verifier), Arc::clone(&users));
        let password = if n % 2 == 0 { "secret" } else { "wrong" };
        tasks.spawn(async move { good(&verifier, &users, "alice", password).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|good| **good).count(), 10);
    assert_eq!(verifier.computed(), 2);
    assert!(verifier.flights.lock().unwrap().is_empty());
}

#[tokio::test]
async fn when_the_first_request_goes_away_the_next_takes_over() {
    let verifier = Arc::new(Verifier::new());
    let users = Arc::new(users(&line("alice", "secret", 8)));
    let task = |password: &'static str| {
        let (verifier, users) = (Arc::clone(&verifier), Arc::clone(&users));
        tokio::spawn(async move { good(&verifier, &users, "alice", password).await })
    };
    let all = u32::try_from(verifier.cores.available_permits()).unwrap();
    let cores = verifier.cores.acquire_many(all).await.unwrap();
    let (first, second) = (task("secret"), task("secret"));
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(cores);
    assert!(second.await.unwrap());
    // What was begun is finished and counted, also when nobody waits for it.
    let lonely = task("wrong");
    while verifier.cores.available_permits() == usize::try_from(all).unwrap() {
        tokio::task::yield_now().await;
    }
    lonely.abort();
    while verifier.computed() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(verifier.flights.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn too_many_at_a_time_are_refused() {
    let verifier = Arc::new(Verifier::new());
    let users = Arc::new(users(&line("alice", "secret", 4)));
    let all = u32::try_from(verifier.cores.available_permits()).unwrap();
    let cores = verifier.cores.acquire_many(all).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    let places = verifier.queue.available_permits();
    for n in 0..places {
        let (verifier, users) = (Arc::clone(&verifier), Arc::clone(&users));
        let address = Some(IpAddr::from([10, 0, u8::try_from(n / 256).unwrap(), n as u8]));
        waiting.spawn(async move {
            verifier.verify(&users, &login("alice", &n.to_string()), address).await
        });
    }
    while verifier.queue.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = verifier.verify(&users, &login("alice", "secret"), HOME).await;
    assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{refused:?}");
    // Nobody waits for ever.
    tokio::time::advance(VERIFICATION_WAIT_MAX).await;
    while let Some(answer) = waiting.join_next().await {
        assert!(matches!(answer.unwrap(), Err(Refusal::Unavailable(_))));
    }
    drop(cores);
    assert!(good(&verifier, &users, "alice", "secret").await);
    assert_eq!(verifier.computed(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_good_is_not_locked_out_by_a_neighbour() {
    let verifier = Verifier::new();
    let users = users(&line("alice", "secret", 4));
    assert!(good(&verifier, &users, "alice", "secret").await);
    // Within a minute or so, as answers come later and later.
    let mut refused = None;
    for n in 0..2 * FAILURES_OF_USER_MAX {
        let wrong = verifier.verify(&users, &login("alice", &format!("wrong-{n}")), HOME).await;
        refused = refused.or(wrong.err());
    }
    assert!(matches!(refused, Some(Refusal::TooManyFailures { .. })), "{refused:?}");
    let computed = verifier.computed();
    let next = verifier.verify(&users, &login("alice", "one more"), HOME).await;
    assert!(matches!(next, Err(Refusal::TooManyFailures { .. })));
    assert_eq!(verifier.computed(), computed, "a refused login costs nothing");
    assert!(good(&verifier, &users, "alice", "secret").await);
    // Verified anew after a minute, in spite of the failures, which stay.
    for n in 0..FAILURES_OF_USER_MAX {
        verifier.shared.throttle.failed(HOME, "alice");
        assert!(verifier.shared.throttle.admit(HOME, "alice").is_err(), "{n}");
    }
    tokio::time::advance(VERIFIED_LIFETIME).await;
    assert!(good(&verifier, &users, "alice", "secret").await);
    assert!(verifier.shared.throttle.admit(HOME, "alice").is_err());
    // From elsewhere nothing is in the way.
    let elsewhere = Some(IpAddr::from([192, 0, 2, 2]));
    let found = verifier.verify(&users, &login("alice", "secret"), elsewhere).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_as_a_known_one() {
    let verifier = Verifier::new();
    let users = users(&(line("alice", "secret", 4) + "old:{SHA}x\n"));
    for user in ["alice", "nobody", "old"] {
        let before = verifier.computed();
        assert!(!good(&verifier, &users, user, "wrong").await);
        assert_eq!(verifier.computed(), before + 1, "{user}");
    }
    // The password of the one that stands in opens nothing.
    assert!(!good(&verifier, &users, "nobody", "secret").await);
    assert!(!good(&verifier, &users, "nobody", "secret").await);
    assert!(!good(&verifier, &users, "old", "secret").await);
    assert!(good(&verifier, &users, "alice", "secret").await);
}

#[test]
fn parts_of_a_keyed_hash_are_kept_apart() {
    let key = [1; 32];
    assert_ne!(keyed_hash(&key, &[b"ab", b"c"]), keyed_hash(&key, &[b"a", b"bc"]));
    assert_ne!(keyed_hash(&key, &[b"a"]), keyed_hash(&[2; 32], &[b"a"]));
    assert_eq!(keyed_hash(&key, &[b"a"]), keyed_hash(&key, &[b"a"]));
}
