package config

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

//go:embed template.toml
var template string

// serviceMark is the line of the template that init's service takes the place of.
const serviceMark = "#SERVICE#\n"

// Initial is what init is told about a root that it makes. Empty fields stay defaults.
type Initial struct {
	Repo    string // relative to the root or absolute
	Mode    string // ModeSymlink or ModeDirectory
	Service string // preset of the root's one service
}

// TemplateFor is the commented rel.toml in which every setting is the default but what init was told. What a preset cannot guess is
// there as an example.
func TemplateFor(in Initial) ([]byte, error) {
	for _, check := range []struct {
		flag, value string
		names       []string
	}{{"mode", in.Mode, modes}, {"service", in.Service, servicePresets}} {
		if check.value != "" && !slices.Contains(check.names, check.value) {
			return nil, release.Errorf(release.ExitUsage, "--%s %s: it is none of %s", check.flag, check.value,
				strings.Join(check.names, ", "))
		}
	}
	text := strings.Replace(template, serviceMark, serviceTable(in.Service), 1)
	if in.Repo != "" {
		text = strings.Replace(text, `#repo = "repo.git"`, "repo = "+quote(in.Repo), 1)
	}
	if in.Mode == ModeDirectory {
		text = strings.Replace(text, `#path = "current"`, `#path = "rel"`, 1)
		text = strings.Replace(text, `#mode = "symlink"`, `mode = "directory"`, 1)
	}
	return []byte(text), nil
}

func serviceTable(preset string) string {
	if preset == "" {
		return "\n"
	}
	name, examples := "app", ""
	switch preset {
	case "apache", "nginx":
		name = "web"
	case "systemd":
		examples = "unit = \"app.service\"\n"
	case "pidfile":
		examples = "start = \"bin/app --daemon\"\npidfile = \"shared/app.pid\"\n"
	case "command":
		examples = "start = \"bin/app-start\"\nstop = \"bin/app-stop\"\nlisten = [\"127.0.0.1:8080\"]\n"
	}
	if examples != "" {
		examples = "# An example: put what is true here.\n" + examples
	}
	return "[[service]]\nname = " + quote(name) + "\npreset = " + quote(preset) + "\n" + examples + "\n"
}

// quote writes s as a TOML basic string, whose escapes are fewer than Go's.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\u00` + strconv.FormatInt(int64(r)+0x100, 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
