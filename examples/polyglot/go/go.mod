module github.com/askback/askback/examples/polyglot/go

go 1.26.0

require (
	github.com/askback/askback/gen/go v0.0.0
	github.com/gowebpki/jcs v1.0.2
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261110000943-09e21b237f2c
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)

// A program of your own has no such line, and the version that it wants above.
replace github.com/askback/askback/gen/go => ../../../gen/go
