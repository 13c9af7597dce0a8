// Package policy builds the ValidatingAdmissionPolicy that holds the options of a
// LogSource to its DriverClasses: one static policy, whose parameters are the DriverClass
// objects, so that a new class needs no new policy and no webhook.
//
// The apiserver evaluates it once per DriverClass. Most of these have nothing to do with
// the object, so the first variable picks what this class is asked about, and everything
// after it runs over that alone. What it costs is measured in test/admission; it is why
// there are no matchConditions (one more environment per class) and why the good case
// makes no strings. Rules that need two classes at once are the planner's.
//
// The rules and the words are those of class.Check; test/admission holds the two together.
package policy

import (
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
)

// Name is the name of the policy and of its binding.
const Name = "logsource-options"

// maxMessage keeps a message below what the apiserver takes from an expression (5 KiB).
const maxMessage = 4000

// Policy is the policy.
func Policy() *admissionv1.ValidatingAdmissionPolicy {
	fail := admissionv1.Fail
	return &admissionv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: Name, Labels: Labels()},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			ParamKind:     &admissionv1.ParamKind{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DriverClass"},
			MatchConstraints: &admissionv1.MatchResources{
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
					Rule: admissionv1.Rule{
						APIGroups:   []string{v1alpha1.GroupVersion.Group},
						APIVersions: []string{v1alpha1.GroupVersion.Version},
						Resources:   []string{"logsources", "clusterlogsources"},
					},
				}}},
			},
			Variables:   variables(),
			Validations: validations(),
		},
	}
}

// Binding binds the policy to every DriverClass. Without any DriverClass nothing is
// refused: the manager then says ClassNotFound.
func Binding() *admissionv1.ValidatingAdmissionPolicyBinding {
	allow := admissionv1.AllowAction
	return &admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: Name, Labels: Labels()},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        Name,
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			ParamRef:          &admissionv1.ParamRef{Selector: &metav1.LabelSelector{}, ParameterNotFoundAction: &allow},
		},
	}
}

// Labels are on every object that comes with the installation.
func Labels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "logsource", "app.kubernetes.io/part-of": "logsource"}
}

// validations is one validation: the apiserver reports only the first that fails, and a
// user wants to hear of every wrong option at once.
func validations() []admissionv1.Validation {
	reason := metav1.StatusReasonInvalid
	return []admissionv1.Validation{{
		Expression:        "variables.parts.size() == 0 || variables.problems.size() == 0",
		MessageExpression: shortened("variables.problems.join('; ')"),
		Message:           "the options do not fit the class; kubectl get driverclasses lists what each class takes",
		Reason:            &reason,
	}}
}

func shortened(text string) string {
	n := strconv.Itoa(maxMessage)
	return text + ".size() > " + n + " ? " + text + ".substring(0, " + n + ") + ' and more' : " + text
}

// variables are evaluated when they are first used, so those that a class is not asked
// about cost nothing.
func variables() []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "parts", Expression: parts},
		{Name: "defs", Expression: "has(params.spec.options) ? params.spec.options : []"},
		{Name: "names", Expression: "variables.defs.map(d, d.name)"},
		{Name: "noSuch", Expression: "': class ' + params.spec.class + ' has no such option; it has: ' + (variables.names.size() > 0 ? variables.names.join(', ') : 'none')"},
		{Name: "views", Expression: views},
		{Name: "unknown", Expression: flat(unknown)},
		{Name: "values", Expression: flat(values())},
		{Name: "secrets", Expression: flat(secrets)},
		{Name: "replicas", Expression: replicas},
		{Name: "placement", Expression: placement},
		{Name: "taken", Expression: taken},
		{Name: "flags", Expression: flags},
		{Name: "service", Expression: service},
		{Name: "problems", Expression: "variables.unknown + variables.values + variables.secrets + variables.placement + variables.flags + variables.service"},
	}
}

// parts are the source or the destinations of this class. An edit of labels or annotations
// alone has none: it is never refused for an option.
const parts = "oldObject != null && object.spec == oldObject.spec ? []" +
	" : params.spec.role == 'Source'" +
	" ? (object.spec.source.class == params.spec.class ? [dyn(object.spec.source)] : [])" +
	" : dyn(object.spec.destinations).filter(d, d.class == params.spec.class)"

// views are the parts with nothing left out: where they stand, their options, and the
// names of the options that are set from Secrets.
const views = "variables.parts.map(p, {" +
	"'at': dyn(has(p.name) ? 'spec.destinations[' + p.name + ']' : 'spec.source')," +
	" 'options': dyn(has(p.options) ? p.options : {})," +
	" 'secrets': dyn(has(p.secretOptions) ? p.secretOptions.map(s, s.option) : [])})"

// flat makes one list of problems from an expression that gives a list for each view v.
func flat(list string) string {
	return "variables.views.map(v, " + list + ".join('; ')).filter(m, m != '')"
}

// unknown asks for names only where the counts differ: nearly always they do not.
const unknown = "(variables.names.filter(n, n in v.options).size() == v.options.size() ? []" +
	" : v.options.map(k, k).filter(k, !(k in variables.names)).map(k, v.at + '.options.' + k + variables.noSuch))"

const secrets = "v.secrets.filter(s, s in v.options || !variables.defs.exists(d, d.name == s && has(d.secret) && d.secret))" +
	".map(s, v.at + '.secretOptions[' + s + ']' + (" +
	"!(s in variables.names) ? variables.noSuch" +
	" : variables.defs.exists(d, d.name == s && has(d.secret) && d.secret) ? ': is set twice: remove it from options'" +
	" : ': is not secret: set it in options'))"

// placement holds what only one placement may have.
const placement = "params.spec.role != 'Source' ? [] : " +
	"(params.spec.placement == 'Node' ? [] : ['select', 'namespaceSelector'].filter(f, f in object.spec)" +
	".map(f, 'spec.' + f + ': only classes of placement Node select containers, and class ' + params.spec.class + ' has placement ' + params.spec.placement + ': remove it'))" +
	" + (params.spec.placement == 'Single' && variables.replicas > 1 ? ['spec.collector.replicas: class ' + params.spec.class + ' has placement Single, a second collector would read everything twice: set 1, or 0 for none'] : [])" +
	" + (params.spec.placement == 'Node' && variables.replicas != 1 ? ['spec.collector.replicas: class ' + params.spec.class + ' runs once on every node: remove it; to stop the source set spec.paused'] : [])"

// taken are the flags that the class takes, as class.TakenFlags.
const taken = "has(params.spec.flags) && params.spec.flags.size() > 0 ? params.spec.flags : ['" + class.NoParse + "']"

// flags are those of the source that the class does not take. Which flags contradict each
// other no class has to say; the CRDs do.
const flags = "params.spec.role != 'Source' || !has(object.spec.source.flags) ? [] : " +
	"object.spec.source.flags.filter(f, !(f in variables.taken))" +
	".map(f, 'spec.source.flags[' + string(object.spec.source.flags.indexOf(f)) + ']: class ' + params.spec.class + ' does not take ' + f + '; it takes: ' + variables.taken.join(', '))"

// service is refused where there is no port for it. The names of its ports are the
// planner's, who knows which of them the options switch on.
const service = "params.spec.role != 'Source' || !has(object.spec.collector) || !has(object.spec.collector.service)" +
	" || (has(params.spec.footprint) && has(params.spec.footprint.ports) && params.spec.footprint.ports.size() > 0) ? []" +
	" : ['spec.collector.service: class ' + params.spec.class + ' does not listen: remove it']"

const replicas = "has(object.spec.collector) && has(object.spec.collector.replicas) ? object.spec.collector.replicas : 1"

// values holds every option d of the class to its definition.
func values() string {
	return "variables.defs.filter(d, " + problem() + " != '').map(d, v.at + '.options.' + d.name + ': ' + " + problem() + ")"
}

// value is what the user has given for the option d.
const value = "v.options[d.name]"

// problem is what is wrong with option d, empty when nothing is. The usual types come first.
func problem() string {
	return choose(
		when("!(d.name in v.options)", missing()),
		when("has(d.secret) && d.secret", quote("is secret: set it through secretOptions, not in plain text")),
		when("d.type == 'string'", text("true", "must be a string")),
		when("d.type == 'url'", text("isURL("+value+") && url("+value+").getScheme() != '' && url("+value+").getHost() != ''", "must be a URL such as http://host:8080/path")),
		when("d.type == 'duration'", duration()),
		when("d.type == 'bool'", unless("type("+value+") == bool", "must be true or false")),
		when("d.type == 'int'", integer()),
		when("d.type == 'quantity'", bytes()),
		when("d.type == 'stringList'", stringList()),
		when("d.type == 'stringMap'", unless("type("+value+") == map && "+value+".all(k, type("+value+"[k]) == string)", "must be a map of strings")),
	)
}

const (
	wantEnum    = "'must be one of ' + d.enum.join(', ')"
	wantPattern = "'must match ' + d.pattern"
)

func missing() string {
	const by = "'is required by class ' + params.spec.class"
	return choose(
		when("!has(d.required) || !d.required", "''"),
		when("!has(d.secret) || !d.secret", by),
		when("!(d.name in v.secrets)", by+" + ': set it through secretOptions'"),
	)
}

func text(syntax, message string) string {
	return choose(
		when("!(type("+value+") == string && "+syntax+")", quote(message)),
		when("has(d.enum) && !("+value+" in d.enum)", wantEnum),
		when("has(d.pattern) && !"+value+".matches(d.pattern)", wantPattern),
	)
}

func integer() string {
	return choose(
		when("type("+value+") != int", quote("must be a whole number, without quotes")),
		when("has(d.minimum) && "+value+" < d.minimum", "'must be at least ' + string(d.minimum)"),
		when("has(d.maximum) && "+value+" > d.maximum", "'must be at most ' + string(d.maximum)"),
	)
}

func bytes() string {
	syntax := "type(" + value + ") == int ? (" + value + " >= 0 && " + value + " <= 999999999999999999) : (type(" + value + ") == string && " + value + ".matches(" + quote(class.QuantityPattern) + "))"
	compare := func(bound, operator string) string {
		return "has(d." + bound + ") && quantity(string(" + value + ")).compareTo(quantity(string(d." + bound + "))) " + operator + " 0"
	}
	return choose(
		when("!("+syntax+")", quote("must be a number of bytes such as 65536, 64Ki or 10M")),
		when(compare("minimum", "<"), "'must be at least ' + string(d.minimum)"),
		when(compare("maximum", ">"), "'must be at most ' + string(d.maximum)"),
	)
}

func duration() string {
	syntax := "type(" + value + ") == string && " + value + ".size() <= " + strconv.Itoa(class.DurationMax) + " && " + value + ".matches(" + quote(class.DurationPattern) + ")"
	return choose(
		when("!("+syntax+")", quote("must be a duration such as 250ms, 10s or 1h30m")),
		when("has(d.minimumDuration) && duration("+value+") < duration(d.minimumDuration)", "'must be at least ' + d.minimumDuration"),
	)
}

func stringList() string {
	return choose(
		when("!(type("+value+") == list && "+value+".all(e, type(e) == string))", quote("must be a list of strings")),
		when("has(d.enum) && !"+value+".all(e, e in d.enum)", "'every item ' + "+wantEnum),
		when("has(d.pattern) && !"+value+".all(e, e.matches(d.pattern))", "'every item ' + "+wantPattern),
	)
}

// A branch is one arm of a choice.
type branch struct{ condition, result string }

func when(condition, result string) branch { return branch{condition, result} }

func unless(condition, message string) string {
	return choose(when("!("+condition+")", quote(message)))
}

// choose takes the first arm whose condition holds, else the empty string.
func choose(arms ...branch) string {
	var b strings.Builder
	b.WriteString("(")
	for _, a := range arms {
		b.WriteString(a.condition + " ? " + a.result + " : ")
	}
	b.WriteString("'')")
	return b.String()
}

// quote makes a CEL string of a text without quotes and backslashes.
func quote(s string) string { return "'" + s + "'" }
