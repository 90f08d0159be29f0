package peer;

import io.socket.client.AckWithTimeout;
import io.socket.client.IO;
import io.socket.client.Manager;
import io.socket.client.Socket;
import io.socket.engineio.client.Transport;
import java.net.URI;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import okhttp3.Dispatcher;
import okhttp3.OkHttpClient;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A peer as an Android app would write it: joins a room, calls whom it finds there, and prints what it sees.
 *
 * <p>Arguments: the URL (with a path: that of the endpoint), the transports (comma-separated), the room, the role,
 * the user id (digits: sent as a number), and {@code leave} or {@code stay} for after the call. Each line printed
 * is a JSON array, the name of what was seen first. The library calls back on one thread of its own (save {@code onTimeout}), so nothing here
 * needs a lock.
 */
public final class Peer {
    private static final String[] EVENTS = {
        "new_peer", "room_status", "signal", "peer_disconnected", "signal_error"
    };
    private static final int CANDIDATES = 20;
    private static final String SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n";
    private static final String CANDIDATE = "candidate:%d 1 UDP 1 127.0.0.1 9 typ host";
    private static final long ACK_MS = 10_000;

    private final Socket socket;
    private final JSONObject join;
    private final boolean leaves;
    private int unacked;
    private int heard;

    private Peer(Socket socket, JSONObject join, boolean leaves) {
        this.socket = socket;
        this.join = join;
        this.leaves = leaves;
    }

    public static void main(String[] args) throws Exception {
        IO.Options options = new IO.Options();
        options.transports = args[1].split(",");
        options.reconnection = false;
        // okhttp's own threads keep a program alive for a minute after its last call; Android does not mind
        Dispatcher dispatcher = new Dispatcher(
                new ThreadPoolExecutor(0, 16, 1, TimeUnit.SECONDS, new SynchronousQueue<>()));
        OkHttpClient http = new OkHttpClient.Builder()
                .dispatcher(dispatcher)
                .readTimeout(1, TimeUnit.MINUTES) // a long poll waits for the next ping at least
                .build();
        options.callFactory = http;
        options.webSocketFactory = http;

        URI url = URI.create(args[0]);
        if (url.getPath().length() > 1) { // an endpoint's; the library takes a path for a namespace
            options.path = url.getPath();
            url = url.resolve("/");
        }
        Object userId = args[4].matches("\\d+") ? (Object) Long.valueOf(args[4]) : args[4];
        JSONObject join = new JSONObject().put("room", args[2]).put("role", args[3]).put("userId", userId);
        new Peer(IO.socket(url, options), join, args[5].equals("leave")).start();
    }

    private void start() {
        for (String event : EVENTS) {
            socket.on(event, args -> print(event, args));
        }
        socket.on("new_peer", args -> call((JSONObject) args[0]));
        socket.on("signal", args -> hear((JSONObject) args[0]));
        socket.on(Socket.EVENT_CONNECT, args -> {
            print("connect", socket.id());
            request("join_room", join);
        });
        socket.on(Socket.EVENT_CONNECT_ERROR, args -> print("connect_error", String.valueOf(args[0])));
        socket.on(Socket.EVENT_DISCONNECT, args -> print("disconnect", args[0]));
        socket.io().on(Manager.EVENT_TRANSPORT, args -> {
            Transport transport = (Transport) args[0];
            transport.on(Transport.EVENT_OPEN, opened -> print("transport", transport.name));
        });
        socket.connect();
    }

    /** The impolite one offers: exactly one of the two does, so offers never meet. */
    private void call(JSONObject peer) {
        if (!peer.optBoolean("polite", true)) {
            describe(peer.optString("peerId"), "offer");
        }
    }

    private void hear(JSONObject event) {
        JSONObject signal = event.optJSONObject("signal");
        if (signal == null) {
            return;
        }
        JSONObject description = signal.optJSONObject("description");
        if (description != null && description.optString("type").equals("offer")) {
            describe(event.optString("fromId"), "answer");
        }
        if (signal.has("candidate") && ++heard % CANDIDATES == 0) {
            misbehave();
        }
    }

    /** Sends a description and then its candidates, in one burst as a WebRTC stack does. */
    private void describe(String targetId, String type) {
        try {
            JSONObject description = new JSONObject().put("type", type).put("sdp", SDP);
            request("signal", new JSONObject().put("targetId", targetId)
                    .put("signal", new JSONObject().put("description", description)));
            for (int i = 0; i < CANDIDATES; i++) {
                JSONObject candidate = new JSONObject().put("candidate", CANDIDATE.formatted(i))
                        .put("sdpMid", "0").put("sdpMLineIndex", 0);
                request("signal", new JSONObject().put("targetId", targetId)
                        .put("signal", new JSONObject().put("candidate", candidate)));
            }
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** Once the other's last candidate is here: the same mistake without an ack and with one. */
    private void misbehave() {
        try {
            JSONObject wrong = new JSONObject().put("targetId", 42);
            socket.emit("signal", wrong);
            request("signal", wrong);
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private void request(String event, JSONObject data) {
        unacked++;
        socket.emit(event, new Object[] {data}, new AckWithTimeout(ACK_MS) {
            @Override
            public void onSuccess(Object... args) {
                print("ack", event, args);
                unacked--;
                if (leaves && heard >= CANDIDATES && unacked == 0) {
                    socket.disconnect();
                }
            }

            @Override
            public void onTimeout() {
                print("no_ack", event);
            }
        });
    }

    private static void print(Object... saw) {
        JSONArray line = new JSONArray();
        for (Object part : saw) {
            if (part instanceof Object[] parts) {
                for (Object each : parts) {
                    line.put(each);
                }
            } else {
                line.put(part);
            }
        }
        System.out.println(line);
    }
}
