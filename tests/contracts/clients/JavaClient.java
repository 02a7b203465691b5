// Posts bodies with Java's standard client as it comes, which wishes for HTTP/2 on each new connection, and prints the
// replies' bodies, one a line: `java JavaClient.java URL FILE`. The file has one body a line.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

class JavaClient {
    public static void main(String[] arguments) throws Exception {
        URI address = URI.create(arguments[0]);
        List<String> bodies = Files.readAllLines(Path.of(arguments[1]));
        HttpClient client = HttpClient.newHttpClient();
        // half of them together, each on a connection of its own; then one after the other
        List<String> together = bodies.subList(0, bodies.size() / 2);
        List<CompletableFuture<HttpResponse<String>>> waiting = together.stream()
            .map(body -> request(address, BodyPublishers.ofString(body)))
            .map(request -> client.sendAsync(request, BodyHandlers.ofString()))
            .collect(Collectors.toList());
        for (CompletableFuture<HttpResponse<String>> one : waiting) {
            print(one.get());
        }
        for (String body : bodies.subList(together.size(), bodies.size())) {
            byte[] bytes = body.getBytes("UTF-8");
            boolean inChunks = bytes.length % 2 == 0; // a stream's length is not known
            BodyPublisher content = inChunks
                ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes))
                : BodyPublishers.ofByteArray(bytes);
            print(client.send(request(address, content), BodyHandlers.ofString()));
        }
    }

    static HttpRequest request(URI address, BodyPublisher body) {
        return HttpRequest.newBuilder(address).POST(body).build();
    }

    static void print(HttpResponse<String> response) {
        if (response.statusCode() != 200 || response.version() != HttpClient.Version.HTTP_1_1) {
            throw new IllegalStateException(response + " " + response.body());
        }
        System.out.println(response.body());
    }
}
