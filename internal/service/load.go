package service

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Load fills each configuration, a pointer to a struct, from the environment by envconfig's rules under prefix, then
// calls Validate on every struct in it that has one, inner ones first.
//
//   - An empty variable counts as one that is not set. A value that was in a field before stays if nothing is set.
//   - A Secret is read from NAME or from the file that NAME_FILE names (see SecretFile); both at once are refused.
//   - Every NAME that holds a secret is unset at the end, whatever the result, so that children do not have it, and on
//     Linux also overwritten in /proc/PID/environ. Until then it stands there, and whoever started the process may keep
//     it: only NAME_FILE avoids that. For the same reason, load everything that one process needs in one call.
//
// The error is an ErrUsage that lists every missing or contradictory variable with what it is for and an example. It
// holds no values at all, as people paste secrets into the wrong variable. Not for concurrent use.
func Load(prefix string, cfgs ...any) error {
	fields, err := gather(prefix, cfgs)
	if err != nil {
		return err
	}
	defer unsetSecrets(fields)
	files, errs := resolve(fields)
	if len(errs) == 0 {
		for _, cfg := range cfgs {
			if err := envconfig.Process(prefix, cfg); err != nil {
				errs = append(errs, explain(err, fields))
			}
		}
	}
	if len(errs) == 0 {
		for f, secret := range files {
			*fields[f].secret() = secret
		}
		for _, cfg := range cfgs {
			errs = validate(reflect.ValueOf(cfg), errs)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrUsage, errors.Join(errs...))
	}
	return nil
}

// resolve reads the secret files, by index of their field, and finds what is missing.
// It leaves the environment such that envconfig finds every required variable set and none empty.
func resolve(fields []field) (files map[int]Secret, errs []error) {
	files = map[int]Secret{}
	for i, f := range fields {
		if os.Getenv(f.Name) == "" {
			_ = os.Unsetenv(f.Name)
		}
		value, path := os.Getenv(f.Name), ""
		if f.Secret {
			path = os.Getenv(f.Name + fileSuffix)
		}
		switch {
		case path != "" && value != "":
			errs = append(errs, fmt.Errorf("%s and %s are both set: keep one, better the file", f.Name, f.Name+fileSuffix))
		case path != "":
			secret, err := SecretFile(path, time.Now)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", f.Name+fileSuffix, err))
				continue
			}
			files[i] = secret
		case value == "" && f.Required:
			errs = append(errs, missing(f.Variable))
		}
	}
	for i := range files {
		_ = os.Setenv(fields[i].Name, hidden) // for envconfig's own "required"; the field is set afterwards
	}
	return files, errs
}

func missing(v Variable) error {
	if v.Secret {
		return fmt.Errorf("%s is required but not set: %s; put it in a file and set, for example, %s_FILE=/run/secrets/%s",
			v.Name, v.Description, v.Name, strings.ToLower(v.Name))
	}
	return fmt.Errorf("%s is required but not set: %s%s", v.Name, v.Description, forExample(v))
}

// explain says which variable envconfig could not use, without the value that its own text has.
func explain(err error, fields []field) error {
	var parse *envconfig.ParseError
	for _, f := range fields {
		if errors.As(err, &parse) && parse.KeyName == f.Name {
			return fmt.Errorf("%s cannot be read as %s: %s%s", f.Name, f.word, f.Description, forExample(f.Variable))
		}
	}
	return errors.New("the environment cannot be read")
}

func forExample(v Variable) string {
	if v.Example == "" {
		return ""
	}
	return fmt.Sprintf("; for example %s=%s", v.Name, v.Example)
}

func unsetSecrets(fields []field) {
	var names []string
	for _, f := range fields {
		if f.Secret {
			names = append(names, f.Name)
		}
	}
	ForgetSecrets(names)
}

// ForgetSecrets takes variables out of the environment as Load does with its own. It is for those of other services, which a
// shared file of variables brings along. Not for concurrent use.
func ForgetSecrets(names []string) {
	var set []string
	for _, name := range names {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
		_ = os.Unsetenv(name)
	}
	if len(set) > 0 {
		_ = forget(set) // a kernel that does not let us leaves what only a file avoids
	}
}

// validate adds what the Validate methods of v, a pointer, and of the structs within say. A method promoted from an
// embedded struct runs twice; what it says is kept once.
func validate(v reflect.Value, errs []error) []error {
	for i := range v.Elem().NumField() {
		f := v.Elem().Field(i)
		if f.Kind() == reflect.Struct && v.Elem().Type().Field(i).IsExported() {
			f = f.Addr()
		}
		if f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct && f.CanInterface() && !f.IsNil() {
			errs = validate(f, errs)
		}
	}
	if c, ok := v.Interface().(interface{ Validate() error }); ok {
		err := c.Validate()
		if err != nil && !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	return errs
}
