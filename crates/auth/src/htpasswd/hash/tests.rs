use super::*;

/// Hashes of "secret" that other implementations made: libxcrypt 4.4, Apache's htpasswd 2.4 and
/// the reference implementation of argon2.
const OF_SECRET: [(&str, &str); 12] = [
    ("$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "bcrypt, cost 4"),
    ("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "bcrypt, cost 4"),
    ("$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "bcrypt, cost 4"),
    ("$2y$05$OM/PoNLHSbUdgj9W5o1dDeK.r.5Au.RUjFnLAnL7j102iZnu0dLKG", "bcrypt, cost 5"),
    (
        "$5$rounds=1000$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7",
        "SHA-256-crypt, 1000 rounds",
    ),
    (
        "$5$2NyrpBwsx/CSF7tV$yaJf3pSQ2OVVU0AzF7IXNIpE3XZUBpZBbKKF.CgAsH4",
        "SHA-256-crypt, 5000 rounds",
    ),
    (
        "$6$rounds=1234$sa.lt/x$8bkrFK1xilmM58agc7CZiRhq7Vs1DJKZdyOsj.gdpNDp8x9rtGYyearnHjZQaqFV2OvMPOd7ZQYBaRZ2UL5XN/",
        "SHA-512-crypt, 1234 rounds",
    ),
    (
        "$6$QALu9boCuVfrw4Fp$Yw.ibecxV4w2U1aXm03nPILlpF5shXsRiHYeVCS6.fdVMGkvcNHdEFGIeLuvRYkSM1q8Ki/sQrk2H4YmT2lPB0",
        "SHA-512-crypt, 5000 rounds",
    ),
    (
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
        "argon2, 64 KiB, 1 passes",
    ),
    (
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$94U4LtGI5SKbnP2wOpAbYbf9JeGUWWLtt6tKq1mbcgY",
        "argon2, 64 KiB, 1 passes",
    ),
    (
        "$argon2d$v=19$m=64,t=1,p=1$c29tZXNhbHQ$w2gnxX5N5iWPAdpQ+1xz58+/M8I4yFyZY8pb/gddNis",
        "argon2, 64 KiB, 1 passes",
    ),
    (
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$AqBRvDRh3Kc/HZh0vPAnKg/M6mYAcMXm",
        "argon2, 256 KiB, 2 passes",
    ),
];

#[test]
fn hashes_of_other_implementations_match() {
    for (text, kind) in OF_SECRET {
        let hash = StoredHash::parse(text);
        assert_eq!(hash.kind().to_string(), kind, "{text}");
        assert!(hash.is_usable());
        assert!(hash.matches(b"secret"), "{text}");
        for wrong in [&b"secre"[..], b"secret\0", b"Secret", b""] {
            assert!(!hash.matches(wrong), "{text}");
        }
    }
}

#[test]
fn sha_crypt_s_own_examples_match() {
    // Test vectors of "Unix crypt using SHA-256 and SHA-512", and one from libxcrypt.
    for (text, password) in [
        ("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"),
        (
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "Hello world!",
        ),
        (
            "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            "Hello world!",
        ),
        (
            "$6$s$0ZghXkNc4L8Wk8P510WKPlUeHk8n/io4r39u9jB5MsDK6Rdp3wC.xDJqgId3to3kcsCAcYVwPjKzsXG27re2O.",
            "Grüße",
        ),
    ] {
        assert!(StoredHash::parse(text).matches(password.as_bytes()), "{text}");
    }
}

#[test]
fn bcrypt_looks_at_72_bytes_as_elsewhere() {
    let hash = StoredHash::parse("$2y$04$abcdefghijklmnopqrstuuNt.0ah97gHY3F7JC1Z6EXmQc0bQBhIO");
    let long = "p".repeat(72);
    assert!(hash.matches(long.as_bytes()));
    assert!(hash.matches(format!("{long}q").as_bytes()));
    assert!(!hash.matches(&long.as_bytes()[..71]));
    let hash = StoredHash::parse("$2y$04$abcdefghijklmnopqrstuuzzfwLY11Q0O66TF2XZ7FUib2Ngtn1va");
    assert!(hash.matches("Grüße".as_bytes()));
}

#[test]
fn bits_too_many_and_text_behind_are_ignored() {
    let exact = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    // "v" in the place of the salt's last "u" differs in bits that are not used.
    let salt = exact.replacen("rstuu2", "rstuv2", 1);
    assert!(StoredHash::parse(&salt).matches(b"secret"));
    assert!(StoredHash::parse(&format!("{exact} comment")).matches(b"secret"));
}

#[test]
fn what_is_too_dear_is_not_even_begun() {
    for text in [
        "$2y$17$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$2y$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$2y$99$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$5$rounds=999999999$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7",
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
        "$argon2id$v=19$m=64,t=4000000,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
        "$argon2id$v=19$m=65536,t=1,p=100$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
    ] {
        let hash = StoredHash::parse(text);
        assert_eq!(hash.kind(), HashKind::Unusable(Unusable::TooDear), "{text}");
        assert!(!hash.matches(b"secret"));
    }
}

#[test]
fn what_is_not_accepted_never_matches() {
    for (text, reason) in [
        ("", Unusable::Empty),
        ("$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", Unusable::Md5),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", Unusable::Sha1),
        ("rqXexS6ZhobKA", Unusable::CryptOrPlain),
        ("secret", Unusable::CryptOrPlain),
        ("$y$j9T$abc$def", Unusable::Unknown),
        ("{PLAIN}secret", Unusable::Unknown),
        ("$2y$04$short", Unusable::Damaged),
        ("$2z$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Unusable::Damaged),
        ("$2y$03$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Unusable::Damaged),
        ("$2y$+4$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Unusable::Damaged),
        ("$2y$04$abcdefghijklmnopqrst!u2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Unusable::Damaged),
        ("$2y$04$abcdefghijklmnopqrstüu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", Unusable::Damaged),
        ("$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIr\u{fc}", Unusable::Damaged),
        ("$2a$%`é{XSééSéMéé:1&YeC$é$ééLéVS<x#I%PG?~:/éG:._{`", Unusable::Damaged),
        ("$5$", Unusable::Damaged),
        ("$5$salt", Unusable::Damaged),
        ("$5$salt$tooshort", Unusable::Damaged),
        ("$5$rounds=x$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7", Unusable::Damaged),
        ("$5$rounds=10$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7", Unusable::Damaged),
        ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", Unusable::Damaged),
        ("$argon2id$v=19$m=64,t=1,p=1", Unusable::Damaged),
        (
            "$argon2xx$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
            Unusable::Damaged,
        ),
        (
            "$argon2id$v=7$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4",
            Unusable::Damaged,
        ),
        ("$argon2", Unusable::Damaged),
    ] {
        let hash = StoredHash::parse(text);
        assert_eq!(hash.kind(), HashKind::Unusable(reason), "{text}");
        assert!(!hash.is_usable());
        for password in [text, "secret", ""] {
            assert!(!hash.matches(password.as_bytes()), "{text}");
        }
    }
}

#[test]
fn a_hash_made_here_is_read_by_apache_and_here() {
    let text = bcrypt_hash(b"secret", 4).unwrap();
    assert!(text.starts_with("$2y$04$"));
    assert!(StoredHash::parse(&text).matches(b"secret"));
    assert_ne!(text, bcrypt_hash(b"secret", 4).unwrap());
}

#[test]
fn hashes_are_not_printed() {
    for (text, kind) in OF_SECRET {
        assert_eq!(format!("{:?}", StoredHash::parse(text)), format!("StoredHash({kind})"));
    }
    assert!(!format!("{:?}", StoredHash::parse("plain text")).contains("plain text"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\$(2[aby]|5|6|argon2id?)\\$)?[ -~é$]{0,90}") {
        let _ = StoredHash::parse(&text);
    }
}
