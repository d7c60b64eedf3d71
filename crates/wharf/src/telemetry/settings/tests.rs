use super::*;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

fn read(variables: &[(&str, &str)]) -> Result<Asked> {
    Settings::read(|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let mut all = vec![ENDPOINT];
    all.extend(variables);
    read(&all).unwrap().settings.unwrap()
}

#[test]
fn off_unless_an_endpoint_is_set() {
    for variables in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "x")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[("OTEL_TRACES_EXPORTER", "none"), ENDPOINT],
        &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense")],
        &[("OTEL_SDK_DISABLED", "TRUE"), ENDPOINT],
    ] {
        let asked = read(variables).unwrap();
        assert!(asked.settings.is_none() && asked.warnings.is_empty(), "{variables:?}");
    }
    for (variables, word) in [
        (&[("OTEL_TRACES_EXPORTER", "otlp")][..], "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (&[("OTEL_TRACES_EXPORTER", "console"), ENDPOINT], "console"),
    ] {
        let asked = read(variables).unwrap();
        assert!(asked.settings.is_none() && asked.warnings[0].contains(word), "{asked:?}");
    }
    let asked = read(&[("OTEL_SDK_DISABLED", "yes"), ENDPOINT]).unwrap();
    assert!(asked.settings.is_some() && asked.warnings.len() == 1, "{asked:?}");
}

#[test]
fn defaults_and_precedence() {
    let plain = settings(&[]);
    assert_eq!(plain.protocol, Protocol::HttpBinary);
    assert_eq!(plain.timeout, TIMEOUT_DEFAULT);
    assert!(plain.propagates && !plain.names_service && !plain.is_encrypted());
    assert_eq!(plain.destination(), "http://collector:4318 (http/protobuf)");
    let own = settings(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t.example.com/v1/traces?x=secret"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-tenant=1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=distribution,"),
        ("OTEL_PROPAGATORS", "baggage"),
    ]);
    assert_eq!(own.destination(), "https://t.example.com (grpc)");
    assert_eq!((own.protocol, own.timeout), (Protocol::Grpc, Duration::from_millis(250)));
    assert!(own.names_service && !own.propagates && own.is_encrypted());
}

#[test]
fn samplers() {
    for (name, argument, expected) in [
        ("always_on", "", "AlwaysOn"),
        ("always_off", "", "AlwaysOff"),
        ("traceidratio", "0.25", "TraceIdRatioBased(0.25)"),
        ("traceidratio", "", "TraceIdRatioBased(1.0)"),
        ("parentbased_always_off", "", "ParentBased(AlwaysOff)"),
        ("parentbased_traceidratio", "0", "ParentBased(TraceIdRatioBased(0.0))"),
        ("", "", "ParentBased(AlwaysOn)"),
    ] {
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        assert_eq!(format!("{:?}", settings(&variables).sampler), expected, "{name} {argument}");
    }
}

#[test]
fn nonsense_is_refused_by_name_and_without_its_value() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://user:hunter2@collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,bad name=hunter2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,hunter2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ] {
        let reason = read(&[(name, value), ENDPOINT]).unwrap_err().to_string();
        assert!(reason.starts_with(&format!("{name}: ")), "{reason}");
        assert!(!reason.contains("hunter2"), "{reason}");
    }
    let variables =
        [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    let reason = read(&variables).unwrap_err().to_string();
    assert!(reason.starts_with("OTEL_TRACES_SAMPLER_ARG: "), "{reason}");
}

#[test]
fn unknown_propagators_are_told_of() {
    let asked = read(&[ENDPOINT, ("OTEL_PROPAGATORS", "b3,tracecontext")]).unwrap();
    assert!(asked.settings.unwrap().propagates);
    assert!(asked.warnings[0].contains("b3"), "{:?}", asked.warnings);
}
