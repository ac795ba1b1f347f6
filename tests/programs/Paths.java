import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/**
 * The commands `listen` and `accept` of images.c in Java: it accepts in `inner`, called by `outer`.
 * `heat` calls both many times without accepting, and says `hot` when they are compiled.
 */
public class Paths {
    static final List<Socket> kept = new ArrayList<>();
    static int sum;

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        ServerSocket server = null;
        System.out.println("ready");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            switch (line) {
                case "listen 0" -> {
                    server = new ServerSocket(0, 50, InetAddress.getByName("10.77.0.1"));
                    System.out.println("port=" + server.getLocalPort());
                }
                case "heat" -> {
                    for (int i = 0; i < 200_000; i++) {
                        outer(null, i);
                    }
                    System.out.println("hot=" + sum);
                }
                default -> {
                    Socket socket = outer(server, 1);
                    kept.add(socket);
                    System.out.println("opened=0 " + socket.getLocalPort() + " " + socket.getPort());
                }
            }
        }
    }

    static Socket outer(ServerSocket server, int n) throws Exception {
        Socket socket = inner(server, n);
        sum += n;
        return socket;
    }

    static Socket inner(ServerSocket server, int n) throws Exception {
        Socket socket = server == null ? null : server.accept();
        sum ^= n;
        return socket;
    }
}
