// Package askback keeps a worker's or a console's stream to an Askback server open across broken connections and
// restarts. It is an example to copy: everything it does follows from the comments of the contract.
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

// serviceConfig says which calls may be repeated and how replicas share the load: the file that the Python SDK has.
//
//go:embed service_config.json
var serviceConfig string

// Server is where the server is and who speaks to it.
type Server struct {
	Target string
	TLS    bool
	// Token is a bearer token. Without one, User names the caller to a server that runs without authentication.
	Token, User string
}

// Flags adds the flags of every program: -server, -tls and -user. A token is a secret, so it comes from the
// environment alone.
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

// Dial opens a connection of its own.
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

// GetRequestMetadata is sent with every call.
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

// RequireTransportSecurity keeps a token off connections that anybody can read: gRPC refuses to dial.
func (s *Server) RequireTransportSecurity() bool {
	return s.Token != ""
}
