// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

const absent = "none"

// A differ walks two descriptors by reflection over descriptor.proto itself, so that it compares everything a
// descriptor can say and not only what somebody thought of.
type differ struct {
	lines []string
}

// A node is one definition (file, message, field, ...) and the one around it.
type node struct {
	protoreflect.Message
	around protoreflect.Message
}

// A place is how a line names a definition, and the name that nested types put before their own.
type place struct {
	entity string
	scope  string
}

func differences(have, want *descriptorpb.FileDescriptorProto) []string {
	d := &differ{}
	d.definitions(place{entity: "file"}, node{Message: have.ProtoReflect()}, node{Message: want.ProtoReflect()})
	return d.lines
}

func (d *differ) report(at place, format string, args ...any) {
	d.lines = append(d.lines, at.entity+": "+fmt.Sprintf(format, args...))
}

func (d *differ) definitions(at place, have, want node) {
	fields := want.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.Name() == "options":
			d.values(at, options(have.Get(field).Message()), options(want.Get(field).Message()))
		case field.IsList() && isNamed(field.Message()):
			d.named(at, field, have, want)
		case field.IsList():
			d.value(at, label(field), sortedText(field, have.Get(field).List()), sortedText(field, want.Get(field).List()))
		case field.Name() == "oneof_index":
			// The index depends on the order in the file, the name does not.
			d.value(at, "oneof", oneofName(field, have), oneofName(field, want))
		default:
			d.value(at, label(field), text(field, have), text(field, want))
		}
	}
	d.values(at, unknown("", have), unknown("", want))
}

// named compares what is found by name: messages, fields, oneofs, enums, values, services, methods, extensions.
func (d *differ) named(at place, field protoreflect.FieldDescriptor, have, want node) {
	ours, theirs := byName(have.Get(field).List()), byName(want.Get(field).List())
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if one, found := ours[name]; found {
			d.definitions(at.inside(field, name), node{one, have.Message}, node{theirs[name], want.Message})
		} else {
			d.report(at.inside(field, name), "missing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if _, found := theirs[name]; !found {
			d.report(at.inside(field, name), "not in the contract")
		}
	}
}

func (d *differ) values(at place, have, want map[string]string) {
	all := maps.Clone(have)
	maps.Copy(all, want)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d.value(at, name, orAbsent(have, name), orAbsent(want, name))
	}
}

func (d *differ) value(at place, what, have, want string) {
	if have != want {
		d.report(at, "%s %s, want %s", what, have, want)
	}
}

// inside is "message A.B" for a nested type, and "message A.B field f" for what a message consists of.
func (at place) inside(field protoreflect.FieldDescriptor, name string) place {
	word := label(field)
	switch field.Name() {
	case "message_type", "nested_type", "enum_type", "service":
		full := strings.TrimPrefix(at.scope+"."+name, ".")
		return place{entity: word + " " + full, scope: full}
	case "extension":
		return place{entity: strings.TrimSpace(at.scope + " " + word + " " + name)}
	}
	return place{entity: at.entity + " " + word + " " + name}
}

// label is our word for a field of descriptor.proto.
func label(field protoreflect.FieldDescriptor) string {
	switch field.Name() {
	case "message_type", "nested_type":
		return "message"
	case "enum_type":
		return "enum"
	case "oneof_decl":
		return "oneof"
	case "reserved_range", "reserved_name":
		return "reserved"
	case "dependency":
		return "imports"
	case "input_type":
		return "request"
	case "output_type":
		return "response"
	}
	return strings.ReplaceAll(string(field.Name()), "_", " ")
}

func isNamed(message protoreflect.MessageDescriptor) bool {
	if message == nil {
		return false
	}
	name := message.Fields().ByName("name")
	return name != nil && name.Kind() == protoreflect.StringKind
}

func byName(list protoreflect.List) map[string]protoreflect.Message {
	found := map[string]protoreflect.Message{}
	for i := range list.Len() {
		one := list.Get(i).Message()
		found[one.Get(one.Descriptor().Fields().ByName("name")).String()] = one
	}
	return found
}

func oneofName(index protoreflect.FieldDescriptor, field node) string {
	if !field.Has(index) {
		return absent
	}
	message := field.around.Interface().(*descriptorpb.DescriptorProto)
	return message.GetOneofDecl()[field.Get(index).Int()].GetName()
}

func text(field protoreflect.FieldDescriptor, message protoreflect.Message) string {
	if !message.Has(field) {
		return absent
	}
	return one(field, message.Get(field))
}

func one(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return enumText(field.Enum(), value.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		switch reserved := value.Message().Interface().(type) {
		case *descriptorpb.DescriptorProto_ReservedRange:
			return span(reserved.GetStart(), reserved.GetEnd()-1)
		case *descriptorpb.EnumDescriptorProto_EnumReservedRange:
			return span(reserved.GetStart(), reserved.GetEnd())
		}
	case protoreflect.StringKind:
		return strings.TrimPrefix(value.String(), ".")
	}
	return value.String()
}

// enumText is "int64" for TYPE_INT64 and "repeated" for LABEL_REPEATED.
func enumText(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	value := enum.Values().ByNumber(number)
	if value == nil {
		return fmt.Sprint(number)
	}
	name := strings.ToLower(string(value.Name()))
	return strings.TrimPrefix(name, strings.ToLower(string(enum.Name()))+"_")
}

func span(first, last int32) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d to %d", first, last)
}

func sortedText(field protoreflect.FieldDescriptor, list protoreflect.List) string {
	if list.Len() == 0 {
		return absent
	}
	texts := make([]string, 0, list.Len())
	for i := range list.Len() {
		texts = append(texts, one(field, list.Get(i)))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

// options are those that are set, custom ones in brackets; those that the contract does not define by their number.
func options(message protoreflect.Message) map[string]string {
	set := unknown("option ", message)
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := string(field.Name())
		if field.IsExtension() {
			name = "(" + name + ")"
		}
		if field.IsList() {
			set["option "+name] = sortedText(field, value.List())
		} else {
			set["option "+name] = one(field, value)
		}
		return true
	})
	return set
}

func unknown(prefix string, message protoreflect.Message) map[string]string {
	set := map[string]string{}
	for raw := message.GetUnknown(); len(raw) > 0; {
		number, kind, head := protowire.ConsumeTag(raw)
		body := protowire.ConsumeFieldValue(number, kind, raw[max(head, 0):])
		if head < 0 || body < 0 {
			set[prefix+"(unreadable)"] = fmt.Sprintf("%x", []byte(raw))
			break
		}
		set[fmt.Sprintf("%s%d", prefix, number)] += fmt.Sprintf("%x", []byte(raw[head:head+body]))
		raw = raw[head+body:]
	}
	return set
}

func orAbsent(set map[string]string, name string) string {
	if value, found := set[name]; found {
		return value
	}
	return absent
}
