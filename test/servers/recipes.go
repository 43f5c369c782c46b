package servers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// recipe says how to get and run one server.
type recipe struct {
	name     string // with its version; also that of its folder in the cache
	variable string // the environment variable that may name one that runs
	probe    string // the path that answers 200 when the server is ready

	install func(ctx context.Context, into string) error
	// command makes the command that serves on port, and keeps its files in dir,
	// until SIGTERM or the end of ctx.
	command func(ctx context.Context, home, dir, port string) (*exec.Cmd, error)
}

// engine tells Elasticsearch and OpenSearch apart.
type engine struct {
	settings []string // of the node, as name=value
	artifact string   // in Maven Central
	main     string   // class
	prefix   string   // of Java properties
	flags    []string
}

func elasticsearch(settings ...string) recipe {
	return searchNode("elasticsearch-7.10.2", "SHIPPERD_TEST_ELASTICSEARCH", engine{
		settings: settings,
		artifact: "org.elasticsearch.distribution.integ-test-zip:elasticsearch:7.10.2:zip",
		main:     "org.elasticsearch.bootstrap.Elasticsearch",
		prefix:   "es",
		flags:    []string{"-Des.distribution.flavor=oss"},
	})
}

func openSearch() recipe {
	return searchNode("opensearch-2.19.6", "SHIPPERD_TEST_OPENSEARCH", engine{
		artifact: "org.opensearch.distribution.integ-test-zip:opensearch:2.19.6:zip",
		main:     "org.opensearch.bootstrap.OpenSearch",
		prefix:   "opensearch",
	})
}

// searchNode runs the vendor's "integ-test-zip": the real server without its
// optional modules, which indexing and searching do without.
func searchNode(name, variable string, e engine) recipe {
	r := recipe{name: name, variable: variable, probe: "/_cluster/health?wait_for_status=yellow&timeout=1s"}
	r.install = func(ctx context.Context, into string) error {
		if _, err := findJava(ctx); err != nil {
			return err
		}
		if err := need("mvn", "install Maven (Debian: maven)"); err != nil {
			return err
		}
		return runTool(ctx, into, "mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack",
			"-Dartifact="+e.artifact, "-DoutputDirectory="+into)
	}
	r.command = func(ctx context.Context, home, dir, port string) (*exec.Cmd, error) {
		java, err := findJava(ctx)
		if err != nil {
			return nil, err
		}
		home = filepath.Join(home, name) // the zip has one folder of that name
		conf, tmp := filepath.Join(dir, "conf"), filepath.Join(dir, "tmp")
		for _, folder := range []string{conf, tmp} {
			if err := os.Mkdir(folder, 0o755); err != nil {
				return nil, err
			}
		}
		if err := copyRecipe("log4j2.properties", conf); err != nil {
			return nil, err
		}
		args := []string{
			"-Xms512m", "-Xmx512m", "-Djava.io.tmpdir=" + tmp, "-Djava.security.manager=allow",
			"-Dfile.encoding=UTF-8", "-Dlog4j2.disable.jmx=true", "-Dlog4j2.formatMsgNoLookups=true",
			// Without its native library JNA is off, and with it the refusal to run as
			// root and the system call filter. Neither matters to a client.
			"-Djna.nosys=true", "-Djna.nounpack=true",
			"-D" + e.prefix + ".path.home=" + home, "-D" + e.prefix + ".path.conf=" + conf,
			"-D" + e.prefix + ".distribution.type=zip", "-D" + e.prefix + ".bundled_jdk=false",
		}
		args = append(args, e.flags...)
		args = append(args, "-cp", filepath.Join(home, "lib", "*"), e.main)
		settings := []string{
			"network.host=127.0.0.1", "http.port=" + port, "transport.port=0", "discovery.type=single-node",
			"path.data=" + filepath.Join(dir, "data"), "path.logs=" + filepath.Join(dir, "logs"),
			// A disk that is 90 % full would make the node refuse shards or block writes.
			"cluster.routing.allocation.disk.threshold_enabled=false",
		}
		for _, setting := range append(settings, e.settings...) {
			args = append(args, "-E"+setting)
		}
		return exec.CommandContext(ctx, java, args...), nil
	}
	return r
}

const kinesisVersion = "0.6.2"

func kinesis() recipe {
	return recipe{
		name:     "kinesis-local-" + kinesisVersion,
		variable: "SHIPPERD_TEST_KINESIS",
		probe:    "/healthcheck",
		install: func(ctx context.Context, into string) error {
			if err := need("npm", "install Node.js 20 or later with npm"); err != nil {
				return err
			}
			if err := copyRecipe("loopback.cjs", into); err != nil {
				return err
			}
			return runTool(ctx, into, "npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock",
				"--ignore-scripts", "--prefix", into, "kinesis-local@"+kinesisVersion)
		},
		command: func(ctx context.Context, home, _, port string) (*exec.Cmd, error) {
			if err := need("node", "install Node.js 20 or later"); err != nil {
				return nil, err
			}
			module := filepath.Join(home, "node_modules", "kinesis-local")
			cmd := exec.CommandContext(ctx, "node", "--require", filepath.Join(home, "loopback.cjs"), filepath.Join(module, "main.js"))
			cmd.Env = append(os.Environ(),
				"KINESIS_MOCK_PLAIN_PORT="+port, "KINESIS_MOCK_TLS_PORT=0",
				"KINESIS_MOCK_CERT_PATH="+filepath.Join(module, "server.json"),
				"LOG_LEVEL=ERROR", "SHARD_LIMIT=1000")
			for _, what := range []string{
				"CREATE_STREAM", "DELETE_STREAM", "REGISTER_STREAM_CONSUMER", "DEREGISTER_STREAM_CONSUMER",
				"START_STREAM_ENCRYPTION", "STOP_STREAM_ENCRYPTION", "MERGE_SHARDS", "SPLIT_SHARD",
				"UPDATE_SHARD_COUNT", "UPDATE_STREAM_MODE",
			} {
				cmd.Env = append(cmd.Env, what+"_DURATION=5ms")
			}
			return cmd, nil
		},
	}
}

func localStack() recipe {
	return recipe{
		name:     "localstack-4.14.0",
		variable: "SHIPPERD_TEST_LOCALSTACK",
		probe:    "/_localstack/health",
		install: func(ctx context.Context, into string) error {
			python, err := findPython(ctx)
			if err != nil {
				return err
			}
			for _, file := range []string{"localstack.txt", "loopback.py"} {
				if err := copyRecipe(file, into); err != nil {
					return err
				}
			}
			if err := runTool(ctx, into, python, "-m", "venv", into); err != nil {
				return err
			}
			return runTool(ctx, into, filepath.Join(into, "bin", "python"), "-m", "pip", "install", "--quiet",
				"--disable-pip-version-check", "--no-deps", "-r", filepath.Join(into, "localstack.txt"))
		},
		command: localStackCommand,
	}
}

func localStackCommand(ctx context.Context, home, dir, port string) (*exec.Cmd, error) {
	mock, err := kinesis().installed(ctx)
	if err != nil {
		return nil, err
	}
	// LocalStack finds its Kinesis here and then downloads nothing.
	root := filepath.Join(dir, "root")
	lib := filepath.Join(root, "var", "lib", "localstack", "lib", "kinesis-local", kinesisVersion)
	if err := os.MkdirAll(lib, 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(filepath.Join(mock, "node_modules"), filepath.Join(lib, "node_modules")); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(home, "bin", "python"), filepath.Join(home, "loopback.py"), "localstack.runtime.main")
	options := strings.TrimSpace(os.Getenv("NODE_OPTIONS") + " --require=" + filepath.Join(mock, "loopback.cjs"))
	cmd.Env = append(os.Environ(),
		"GATEWAY_LISTEN=127.0.0.1:"+port, "LOCALSTACK_HOST=127.0.0.1:"+port, "DNS_ADDRESS=0",
		// It takes a machine with /.dockerenv for its own container and writes to /var/lib.
		"OVERRIDE_IN_DOCKER=0", "FILESYSTEM_ROOT="+root,
		"XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "CONFIG_DIR="+filepath.Join(dir, "config"),
		"DISABLE_EVENTS=1", "SKIP_SSL_CERT_DOWNLOAD=1", "SERVICES=kinesis,logs,sts",
		"KINESIS_MOCK_VERSION="+kinesisVersion, "KINESIS_PERSISTENCE=0", "KINESIS_LATENCY=5",
		"KINESIS_MOCK_LOG_LEVEL=ERROR", "NODE_OPTIONS="+options)
	return cmd, nil
}

// copyRecipe writes one of the embedded files into folder.
func copyRecipe(file, folder string) error {
	data, err := recipes.ReadFile("recipes/" + file)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, file), data, 0o644)
}
