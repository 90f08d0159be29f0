package peer;

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.net.URI;
import java.util.Arrays;
import java.util.LinkedList;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import okhttp3.Dispatcher;
import okhttp3.OkHttpClient;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A peer on the Java library; what it does and prints is said in {@code npm/watched.js}.
 *
 * <p>The one argument is the list of peers. The library calls back on one thread of its own, for all of them.
 */
public final class Watched {
    private final String name;
    private final Socket socket;
    private final JSONObject first;
    private final Queue<String> tokens = new LinkedList<>();
    private final Map<String, String> auth = new ConcurrentHashMap<>();

    private Watched(JSONObject peer) throws JSONException {
        name = peer.getString("name");
        first = peer.has("on") ? peer.getJSONObject("on") : new JSONObject();
        JSONArray given = peer.has("tokens") ? peer.getJSONArray("tokens") : new JSONArray();
        for (int i = 0; i < given.length(); i++) {
            tokens.add(given.getString(i));
        }
        IO.Options options = IO.Options.builder()
                .setForceNew(true)
                .setTransports(new String[] {peer.getString("transport")})
                .setReconnectionDelay(50)
                .setReconnectionDelayMax(50)
                .setRandomizationFactor(0)
                .setAuth(auth)
                .build();
        Dispatcher dispatcher = new Dispatcher(); // a long poll takes one of five for each host, else shared by all peers
        options.callFactory = new OkHttpClient.Builder().dispatcher(dispatcher).readTimeout(1, TimeUnit.MINUTES).build();
        socket = IO.socket(URI.create(peer.getString("url")), options);
    }

    public static void main(String[] args) throws JSONException {
        JSONArray peers = new JSONArray(args[0]);
        for (int i = 0; i < peers.length(); i++) {
            new Watched(peers.getJSONObject(i)).start();
        }
    }

    private void start() {
        socket.on(Socket.EVENT_CONNECT, args -> saw("connect"));
        socket.on(Socket.EVENT_DISCONNECT, args -> saw("disconnect", args[0]));
        socket.on(Socket.EVENT_CONNECT_ERROR, args -> {
            if (args[0] instanceof JSONObject why) {
                saw("connect_error", why.opt("data"), why.opt("message"));
            } else {
                Exception why = (Exception) args[0];
                saw("connect_error", JSONObject.NULL, why.getMessage() + " " + why.getCause());
            }
        });
        for (String event : new String[] {"signal_error", "token_expired"}) {
            socket.on(event, args -> saw(event, args));
        }
        showNext();
        socket.connect();
    }

    /** The library sends what the map holds when it connects. */
    private void showNext() {
        String token = tokens.size() > 1 ? tokens.remove() : tokens.peek();
        if (token != null) {
            auth.put("token", token);
        }
    }

    private void saw(String what, Object... details) {
        print(what, details);
        if (what.equals("connect")) {
            showNext();
        }
        JSONArray sent = (JSONArray) first.remove(what);
        for (int i = 0; sent != null && i < sent.length(); i++) {
            send(sent.optJSONObject(i));
        }
    }

    private void send(JSONObject what) {
        JSONArray emitted = what.optJSONArray("emit");
        String event = emitted.optString(0);
        for (int i = 0; i < what.optInt("times", 1); i++) {
            if (what.optBoolean("ack")) {
                socket.emit(event, new Object[] {emitted.opt(1)}, (Ack) args -> print("ack", event, args[0]));
            } else {
                socket.emit(event, emitted.opt(1));
            }
        }
    }

    private void print(String what, Object... details) {
        JSONArray line = new JSONArray().put(name).put(what);
        Arrays.stream(details).forEach(line::put);
        System.out.println(line);
    }
}
