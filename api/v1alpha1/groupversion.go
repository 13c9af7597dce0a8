package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is logsource.dev/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: "logsource.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&LogSource{}, &LogSourceList{},
		&ClusterLogSource{}, &ClusterLogSourceList{},
		&DriverClass{}, &DriverClassList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
