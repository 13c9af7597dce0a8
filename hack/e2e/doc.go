// Package e2e holds the tests of the whole road on a real cluster, behind the build tag
// e2e. run.sh brings the cluster, builds the images and runs them:
//
//	make e2e
//	hack/e2e/run.sh -run TestContainerLogs
package e2e
