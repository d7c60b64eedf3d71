// A stand-in for an OpenTelemetry collector, for the end-to-end suite: it takes OTLP traces over
// HTTP (protobuf) and gRPC, decodes them with OpenTelemetry's own protobuf definitions, and writes
// every span as one JSON object on a line of its own.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

const bodyBytesMax = 16 << 20

// span is what the suite looks at. IDs are hexadecimal, as in traceparent.
type span struct {
	Transport  string            `json:"transport"`
	Headers    map[string]string `json:"headers"`
	Resource   map[string]any    `json:"resource"`
	Scope      string            `json:"scope"`
	TraceID    string            `json:"trace_id"`
	SpanID     string            `json:"span_id"`
	ParentID   string            `json:"parent_id"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	Status     string            `json:"status"`
	DurationNS uint64            `json:"duration_ns"`
	Attributes map[string]any    `json:"attributes"`
}

type sink struct {
	collector.UnimplementedTraceServiceServer
	mutex sync.Mutex
	out   *json.Encoder
}

func value(v *common.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		return v.DoubleValue
	default:
		return fmt.Sprint(v)
	}
}

func attributes(list []*common.KeyValue) map[string]any {
	all := map[string]any{}
	for _, one := range list {
		all[one.Key] = value(one.Value)
	}
	return all
}

func (s *sink) write(transport string, headers map[string]string, request *collector.ExportTraceServiceRequest) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, one := range scope.Spans {
				err := s.out.Encode(span{
					Transport:  transport,
					Headers:    headers,
					Resource:   attributes(resource.GetResource().GetAttributes()),
					Scope:      scope.GetScope().GetName(),
					TraceID:    hex.EncodeToString(one.TraceId),
					SpanID:     hex.EncodeToString(one.SpanId),
					ParentID:   hex.EncodeToString(one.ParentSpanId),
					Name:       one.Name,
					Kind:       one.Kind.String(),
					Status:     one.GetStatus().GetCode().String(),
					DurationNS: one.EndTimeUnixNano - one.StartTimeUnixNano,
					Attributes: attributes(one.Attributes),
				})
				if err != nil {
					log.Fatal(err)
				}
			}
		}
	}
}

// Export takes gRPC.
func (s *sink) Export(ctx context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	headers := map[string]string{}
	if all, ok := metadata.FromIncomingContext(ctx); ok {
		for name, values := range all {
			headers[name] = strings.Join(values, ",")
		}
	}
	s.write("grpc", headers, request)
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP takes http/protobuf.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "not OTLP traces", http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyBytesMax))
	request := &collector.ExportTraceServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	headers := map[string]string{}
	for name := range r.Header {
		headers[strings.ToLower(name)] = r.Header.Get(name)
	}
	s.write("http/protobuf", headers, request)
	answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(answer)
}

func main() {
	httpAddress := flag.String("http", "", "address for http/protobuf")
	grpcAddress := flag.String("grpc", "", "address for gRPC")
	path := flag.String("out", "spans.jsonl", "file that gets the spans")
	certificate := flag.String("cert", "", "certificate for TLS on both, with -key")
	key := flag.String("key", "", "its key")
	flag.Parse()
	file, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	taker := &sink{out: json.NewEncoder(file)}
	listener, err := net.Listen("tcp", *grpcAddress)
	if err != nil {
		log.Fatal(err)
	}
	var options []grpc.ServerOption
	if *certificate != "" {
		identity, err := credentials.NewServerTLSFromFile(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(identity))
	}
	server := grpc.NewServer(options...)
	collector.RegisterTraceServiceServer(server, taker)
	go func() { log.Fatal(server.Serve(listener)) }()
	if *certificate != "" {
		log.Fatal(http.ListenAndServeTLS(*httpAddress, *certificate, *key, taker))
	}
	log.Fatal(http.ListenAndServe(*httpAddress, taker))
}
