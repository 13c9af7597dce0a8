// Package schema checks documents of this API without a cluster: it says what the
// apiserver would say, from the same generated CRDs. It knows the part of OpenAPI and the
// CEL rules that these CRDs use, and a test fails when they come to use more.
//
// What the class of a source or a destination asks for is not in the CRDs; that is
// class.Check, which the planner calls.
package schema
