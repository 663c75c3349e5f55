// SPDX-License-Identifier: Apache-2.0
// SearchNode: one OpenSearch node in this JVM, for the interop tests.
//
//   java -Xmx512m -cp 'LIB/*' SearchNode.java DATA-DIRECTORY PORT [setting=value ...]
//
// Prints "ready PORT" when HTTP answers and runs until its standard input closes, so that a test
// that dies takes its node with it.
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

public class SearchNode extends Node {
    private SearchNode(Settings settings, List<Class<? extends Plugin>> plugins) {
        super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "weft-test"), plugins, false);
    }

    public static void main(String[] args) throws Exception {
        Settings.Builder settings = Settings.builder()
            .put("path.home", Path.of(args[0]).toAbsolutePath().toString())
            .put("cluster.name", "weft-test")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", args[1])
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("transport.port", "0")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("node.processors", 2);
        for (int i = 2; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }

        List<Class<? extends Plugin>> plugins = List.of(
            org.opensearch.transport.Netty4Plugin.class,
            org.opensearch.analysis.common.CommonAnalysisPlugin.class,
            org.opensearch.index.mapper.MapperExtrasPlugin.class);
        try (Node node = new SearchNode(settings.build(), plugins)) {
            node.start();
            System.out.println("ready " + args[1]);
            while (System.in.read() >= 0) {
            }
        }
    }
}
