// Package askback keeps a worker's or a console's stream to an Askback server open across broken connections and
// restarts. It is an example to copy: it implements the comments of the contract.
package askback

//go:generate cp ../../../../client/askback/service_config.json .

import (
	"context"
	_ "embed"
	"flag"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// serviceConfig configures retries and load balancing. The Python SDK uses the same file.
//
//go:embed service_config.json
var serviceConfig string

// Server has the address of the server and the identity of the caller.
type Server struct {
	Target string
	TLS    bool
	// Token is a bearer token. Without one, User names the caller to a server that runs without authentication.
	Token, User string
}

// Flags adds the flags of every program: -server, -tls and -user. A token is a secret, so it comes only
// from the environment.
func Flags() *Server {
	s := &Server{Token: os.Getenv("ASKBACK_TOKEN")}
	target := os.Getenv("ASKBACK_SERVER")
	if target == "" {
		target = "127.0.0.1:50051"
	}
	flag.StringVar(&s.Target, "server", target, "where the server is")
	flag.BoolVar(&s.TLS, "tls", false, "speak TLS")
	flag.StringVar(&s.User, "user", "", "who calls, at a server without authentication")
	return s
}

// Dial opens a new connection.
func (s *Server) Dial() (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if s.TLS {
		transport = credentials.NewTLS(nil)
	}
	return grpc.NewClient(s.Target,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(s),
		grpc.WithDefaultServiceConfig(serviceConfig))
}

// GetRequestMetadata returns the metadata of every call.
func (s *Server) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	metadata := map[string]string{}
	if s.Token != "" {
		metadata["authorization"] = "Bearer " + s.Token
	}
	if s.User != "" {
		metadata["askback-user"] = s.User
	}
	return metadata, nil
}

// RequireTransportSecurity makes gRPC refuse to send a token over a connection without TLS.
func (s *Server) RequireTransportSecurity() bool {
	return s.Token != ""
}
