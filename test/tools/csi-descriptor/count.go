// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

type counts struct {
	messages, fields, enums, values, services, methods, extensions, options int
}

// count says what was compared. The entries of maps, which nobody writes, are not counted.
func count(file *descriptorpb.FileDescriptorProto) string {
	c := &counts{services: len(file.GetService()), extensions: len(file.GetExtension())}
	c.add(file.GetOptions())
	for _, service := range file.GetService() {
		c.methods += len(service.GetMethod())
		c.add(service.GetOptions())
		for _, method := range service.GetMethod() {
			c.add(method.GetOptions())
		}
	}
	c.addEnums(file.GetEnumType())
	c.addMessages(file.GetMessageType())
	return fmt.Sprintf(
		"%d messages, %d fields, %d enums, %d enum values, %d services, %d methods, %d extensions, %d options",
		c.messages, c.fields, c.enums, c.values, c.services, c.methods, c.extensions, c.options)
}

func (c *counts) addMessages(messages []*descriptorpb.DescriptorProto) {
	for _, message := range messages {
		if message.GetOptions().GetMapEntry() {
			continue
		}
		c.messages++
		c.add(message.GetOptions())
		c.fields += len(message.GetField())
		for _, field := range message.GetField() {
			c.add(field.GetOptions())
		}
		c.addEnums(message.GetEnumType())
		c.addMessages(message.GetNestedType())
	}
}

func (c *counts) addEnums(enums []*descriptorpb.EnumDescriptorProto) {
	c.enums += len(enums)
	for _, enum := range enums {
		c.add(enum.GetOptions())
		c.values += len(enum.GetValue())
		for _, value := range enum.GetValue() {
			c.add(value.GetOptions())
		}
	}
}

func (c *counts) add(set proto.Message) {
	c.options += len(options(set.ProtoReflect()))
}
