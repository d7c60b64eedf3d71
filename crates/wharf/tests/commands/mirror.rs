//! `wharf mirror config`: what a person copies into the configuration of clients.

use std::path::Path;

use crate::support::{run, wharf};

/// Exit code, standard output and standard error with this `proxy` section.
fn config(proxy: &str, arguments: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("version: 0.1\nstorage: inmemory\nhttp:\n  addr: :5000\n{proxy}\n");
    std::fs::write(directory.path().join("config.yml"), text).unwrap();
    config_in(directory.path(), arguments)
}

fn config_in(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = wharf(directory);
    run(command.args(["mirror", "config", "config.yml"]).args(arguments))
}

const FOUR: &str = "\
proxy:
  remoteurl: https://registry-1.docker.io
  password: hunter2
  username: u
  upstreams:
    - {prefix: ghcr.io, url: 'https://ghcr.io'}
    - {prefix: mirrors/k8s, ns: registry.k8s.io, urls: ['https://near.example', 'https://registry.k8s.io']}
    - {prefix: own, ns: 'own.lan:5000', url: 'http://own.lan:5000'}";

#[test]
fn containerd_gets_a_file_for_each_registry() {
    let (code, out, err) =
        config(FOUR, &["--client", "containerd", "--address", "https://nas.lan:5000/"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let files: Vec<&str> = out.lines().filter(|line| line.starts_with("# /")).collect();
    let expected = ["docker.io", "ghcr.io", "registry.k8s.io", "own.lan:5000"]
        .map(|name| format!("# /etc/containerd/certs.d/{name}/hosts.toml"));
    assert_eq!(files, expected);
    let first = "\
# /etc/containerd/certs.d/docker.io/hosts.toml
server = \"https://registry-1.docker.io\"

[host.\"https://nas.lan:5000\"]
  capabilities = [\"pull\", \"resolve\"]
  # If the mirror's certificate is from an authority of your own:
  # ca = \"/etc/containerd/certs.d/docker.io/mirror-ca.crt\"

# /etc/containerd/certs.d/ghcr.io/hosts.toml
server = \"https://ghcr.io\"
";
    assert!(out.starts_with(first), "{out}");
    // Without the mirror the registry itself is asked, as it is asked here.
    assert!(out.contains("server = \"https://registry.k8s.io\"\n"), "{out}");
    assert!(out.contains("server = \"http://own.lan:5000\"\n"), "{out}");
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn below_a_path_containerd_alone_can_be_led() {
    let arguments = ["--address", "http://nas.lan/registry"];
    let (code, out, err) = config(FOUR, &arguments);
    assert_eq!(code, 0);
    assert!(out.contains("[host.\"http://nas.lan/registry/v2\"]\n"), "{out}");
    assert!(out.contains("  override_path = true\n"), "{out}");
    assert!(!out.contains("[[registry]]") && !out.contains("registry-mirrors"), "{out}");
    assert!(err.contains("wharf: podman: ") && err.contains("wharf: docker: "), "{err}");
}

#[test]
fn podman_gets_one_file_with_all_registries() {
    let arguments = ["--client", "podman", "--address", "http://nas.lan:5000"];
    let (code, out, err) = config(FOUR, &arguments);
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = "\
# /etc/containers/registries.conf.d/50-wharf-mirror.conf
[[registry]]
prefix = \"docker.io\"
location = \"docker.io\"

[[registry.mirror]]
location = \"nas.lan:5000\"
insecure = true

[[registry]]
prefix = \"ghcr.io\"
location = \"ghcr.io\"

[[registry.mirror]]
location = \"nas.lan:5000/ghcr.io\"
insecure = true
";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.contains("location = \"nas.lan:5000/mirrors/k8s\"\n"), "{out}");
    let (_, out, _) = config(FOUR, &["--client", "podman", "--address", "https://nas.lan"]);
    assert!(out.contains("# /etc/containers/certs.d/nas.lan/ca.crt\n"), "{out}");
    assert!(!out.contains("insecure"), "{out}");
}

#[test]
fn docker_gets_its_mirror_of_docker_hub() {
    let arguments = ["--client", "docker", "--address", "https://nas.lan:5000"];
    let (code, out, err) = config(FOUR, &arguments);
    assert_eq!(code, 0, "{err}");
    let (head, json) = out.split_once('\n').unwrap();
    assert!(head.starts_with("# /etc/docker/daemon.json"), "{out}");
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json, serde_json::json!({"registry-mirrors": ["https://nas.lan:5000"]}));
    assert!(err.contains("/etc/docker/certs.d/nas.lan:5000/ca.crt"), "{err}");
}

#[test]
fn docker_gets_none_where_none_can_be() {
    let one = |item: &str| format!("proxy: {{upstreams: [{item}]}}");
    let arguments = ["--client", "docker"];
    for (proxy, expected) in [
        (one("{prefix: docker.io, url: 'https://registry-1.docker.io'}"), "leave `prefix` out"),
        (one("{url: 'https://h', ns: quay.io, name: q}"), "the upstream without a prefix is `q`"),
        (
            one("{url: 'https://quay.io'}, {prefix: a, url: 'https://a'}"),
            "the upstream without a prefix is `quay.io`",
        ),
    ] {
        let (code, out, err) = config(&proxy, &arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{proxy}");
        assert!(err.contains("wharf: docker: a mirror is asked for images of Docker Hub alone"));
        assert!(err.contains(expected), "{err}");
    }
    // A mirror of a mirror may well have them.
    let (code, out, err) = config("proxy: {remoteurl: 'http://near.example'}", &arguments);
    assert!(code == 0 && out.contains("registry-mirrors"), "{out}");
    assert!(err.contains("does `near.example` have them?"), "{err}");
}

#[test]
fn an_upstream_that_no_host_name_means_is_reached_by_its_path() {
    let proxy = "proxy: {upstreams: [{prefix: hub, url: 'https://registry-1.docker.io'}, {prefix: hub2, url: 'https://docker.io'}]}";
    let (code, out, err) = config(proxy, &["--client", "containerd"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("no `ns` means the upstream `hub`"), "{err}");
    let (code, out, _) = config(proxy, &["--client", "podman", "--address", "http://m"]);
    assert_eq!(code, 0);
    assert_eq!(out.matches("[[registry]]").count(), 1, "{out}");
    assert!(out.contains("location = \"m/hub\"\n"), "{out}");
}

#[test]
fn what_is_missing_is_told() {
    let (code, out, err) = config("proxy: {remoteurl: ''}", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("set proxy.remoteurl or proxy.upstreams"), "{err}");
    let (code, _, err) = config("proxy: {upstreams: [{prefix: a}]}", &[]);
    assert_eq!(code, 1);
    assert!(err.contains("config.yml:5:21: proxy.upstreams.0.url: must be set"), "{err}");
    let text = "proxy: {remoteurl: 'https://h'}\nhttp: {addr: ':0'}";
    let (code, _, err) = config(text, &[]);
    assert_eq!(code, 1);
    assert!(err.contains("give --address"), "{err}");
}
