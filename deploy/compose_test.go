package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/shipperd/shipperd/pkg/config"
)

const composeFile = "../docker-compose.yml"

// service is what the tests read of a service; other keys are checked by name.
type service struct {
	Image       string
	Build       string
	Volumes     []string
	Ports       []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck *struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
	Keys map[string]any `yaml:",inline"`
}

func readCompose(t *testing.T) (services map[string]service, volumes map[string]any) {
	t.Helper()
	var file struct {
		Name     string
		Services map[string]service
		Volumes  map[string]any
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(readFile(t, composeFile))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Services, file.Volumes
}

func TestComposeFileFollowsItsSpecification(t *testing.T) {
	if testing.Short() {
		t.Skip("the checker may have to be installed")
	}
	lookTool(t, "python3")
	run(t, "compose/lint")
	wrong := filepath.Join(t.TempDir(), "docker-compose.yml")
	writeFile(t, wrong, strings.Replace(string(readFile(t, composeFile)), "retries: 30", "retry: 30", 1))
	if exec.CommandContext(t.Context(), "compose/lint", wrong).Run() == nil {
		t.Error("the checker takes a key that the specification does not know")
	}
}

// A version with two numbers at least, so that the same file starts the same programs next year.
var pinnedImage = regexp.MustCompile(`^[\w./-]+:v?\d+\.\d+\.\d+$`)

func TestEveryImageIsPinned(t *testing.T) {
	services, _ := readCompose(t)
	for name, s := range services {
		if s.Build != "" {
			continue // our own, from this tree
		}
		if !pinnedImage.MatchString(s.Image) {
			t.Errorf("%s: image %q, want a full version", name, s.Image)
		}
	}
	if got, want := services["localstack"].Image, "localstack/localstack:4.14.0"; got != want {
		t.Errorf("got %s, want %s, the last that needs no account", got, want)
	}
	for line := range strings.Lines(string(readFile(t, "../Dockerfile"))) {
		if image, ok := strings.CutPrefix(line, "FROM "); ok && !strings.HasPrefix(image, "scratch") && !regexp.MustCompile(`:\d+\.\d+\.\d+`).MatchString(image) {
			t.Errorf("Dockerfile: %s is not pinned", strings.TrimSpace(image))
		}
	}
}

func TestEveryMountedFileExists(t *testing.T) {
	services, volumes := readCompose(t)
	for name, s := range services {
		for _, volume := range s.Volumes {
			from, rest, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(from, "./") {
				if _, ok := volumes[from]; !ok {
					t.Errorf("%s: volume %s is not declared", name, from)
				}
				continue
			}
			if info, err := os.Stat(filepath.Join("..", from)); err != nil || info.IsDir() {
				t.Errorf("%s: mounts %s, which is no file (%v)", name, from, err)
			}
			if !strings.HasSuffix(rest, ":ro") {
				t.Errorf("%s: %s is mounted for writing", name, from)
			}
		}
	}
}

func TestServicesWaitForHealthyOnesAndListenOnLoopback(t *testing.T) {
	services, _ := readCompose(t)
	known := []string{
		"environment", "entrypoint", "command", "read_only", "cap_drop", "security_opt", "stop_grace_period", "restart",
	}
	for name, s := range services {
		for key := range s.Keys {
			if !slices.Contains(known, key) {
				t.Errorf("%s: key %s", name, key)
			}
		}
		for other, after := range s.DependsOn {
			target, ok := services[other]
			healthy := after.Condition == "service_healthy" && target.Healthcheck != nil
			if !ok || !healthy && (after.Condition != "service_completed_successfully" || other != oneShot) {
				t.Errorf("%s: waits for %s to be %q, which it never says", name, other, after.Condition)
			}
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, port)
			}
		}
	}
}

// oneShot is the service that ends by itself.
const oneShot = "dashboards"

// Compose fails "up --wait" for a container that has ended, with 0 too, unless another one waits for its end.
func TestUpMayWaitForTheServiceThatEnds(t *testing.T) {
	services, _ := readCompose(t)
	for _, s := range services {
		if s.DependsOn[oneShot].Condition == "service_completed_successfully" {
			return
		}
	}
	t.Errorf("no service waits for the end of %s; make up would fail", oneShot)
}

// The image of the AWS command line has Amazon Linux 2's bash 4.2, which knows no name references.
func TestProducerNeedsNoNewerShellThanItsImageHas(t *testing.T) {
	if found := regexp.MustCompile(`\b(local|declare) -n\b.*`).FindString(string(readFile(t, "compose/produce.sh"))); found != "" {
		t.Errorf("bash 4.2 does not know %s", found)
	}
}

func TestContainerRunsWithoutRightsOrShell(t *testing.T) {
	dockerfile := string(readFile(t, "../Dockerfile"))
	if !strings.Contains(dockerfile, "-X main.version=$VERSION -X main.commit=$REVISION") { // it sees no repository
		t.Error("the image's binary does not know what it was built from")
	}
	_, image, _ := strings.Cut(dockerfile, "\nFROM scratch\n")
	for _, line := range []string{
		"USER 65532:65532", `ENTRYPOINT ["/shipperd"]`, `CMD ["run"]`, "ENV SHIPPERD_ADMIN_LISTEN=:9477",
		`HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/shipperd", "healthcheck"]`,
	} {
		if !strings.Contains(image, "\n"+line+"\n") {
			t.Errorf("the image has no line %s", line)
		}
	}
	for _, label := range []string{"title", "description", "source", "licenses", "version", "revision"} {
		if !strings.Contains(image, " org.opencontainers.image."+label+"=") {
			t.Errorf("the image has no label %s", label)
		}
	}
	services, _ := readCompose(t)
	if services["shipperd"].Keys["read_only"] != true {
		t.Error("shipperd's root file system can be written to")
	}
}

func TestConfigurationIsValid(t *testing.T) {
	withoutSettings(t)
	if _, err := config.Load("compose/shipperd.yaml"); err != nil {
		t.Error(err)
	}
}

// withoutSettings takes all of shipperd's variables from the environment until the test ends.
func withoutSettings(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "SHIPPERD_") {
			t.Setenv(name, "") // restored at the end
			os.Unsetenv(name)
		}
	}
}
