// SPDX-License-Identifier: Apache-2.0

// Command csi-descriptor compares a csi.proto with the descriptor that the CSI project released.
//
//	csi-descriptor compare <path to csi.proto>
//
// It ends with 0 when they are equal, 1 when they differ (one line for each difference, on standard output) and 2 when
// it could not compare. Comments, formatting and the order of definitions are not part of the comparison.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

const specModule = "github.com/container-storage-interface/spec"

func main() {
	if len(os.Args) != 3 || os.Args[1] != "compare" {
		fmt.Fprintln(os.Stderr, "usage: csi-descriptor compare <path to csi.proto>")
		os.Exit(2)
	}
	equal, err := compare(os.Args[2], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "csi-descriptor:", err)
		os.Exit(2)
	}
	if !equal {
		os.Exit(1)
	}
}

// compare writes the differences, or one line that counts what is equal.
func compare(path string, out io.Writer) (bool, error) {
	have, err := compile(path)
	if err != nil {
		return false, err
	}
	want, err := normal(protodesc.ToFileDescriptorProto(csi.File_csi_proto))
	if err != nil {
		return false, err
	}
	lines := differences(have, want)
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	if len(lines) == 0 {
		fmt.Fprintf(out, "%s: %s equal to CSI %s\n", path, count(want), specVersion())
	}
	return len(lines) == 0, nil
}

// compile reads the file under the name that the released descriptor has, whatever it is called on disk.
func compile(path string) (*descriptorpb.FileDescriptorProto, error) {
	name := csi.File_csi_proto.Path()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(wanted string) (io.ReadCloser, error) {
				if wanted != name {
					return nil, os.ErrNotExist
				}
				return os.Open(path)
			},
		}),
	}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return normal(files[0].(linker.Result).FileDescriptorProto())
}

// normal goes through the wire form, so that custom options of both sides become the same Go extensions: an option
// that our file declares with another number or type then shows up as an option which the contract does not have.
func normal(file *descriptorpb.FileDescriptorProto) (*descriptorpb.FileDescriptorProto, error) {
	wire, err := proto.Marshal(file)
	if err != nil {
		return nil, err
	}
	descriptor := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(wire, descriptor); err != nil {
		return nil, err
	}
	descriptor.SourceCodeInfo = nil
	return descriptor, nil
}

// specVersion is what go.mod pins, as the linker recorded it.
func specVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == specModule {
				return dependency.Version
			}
		}
	}
	return "(unknown version)"
}
