import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.startup.Tomcat;

/** Answers with the path that each of a servlet's ways to read one gives: NAME, a tab, the path, a line each. */
public class Main {
    public static void main(String[] args) throws Exception {
        Logger.getLogger("").setLevel(Level.SEVERE);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(args[0]);
        tomcat.setHostname("127.77.0.23");
        tomcat.setPort(8080);
        tomcat.getConnector().setProperty("address", "127.77.0.23");
        var context = tomcat.addContext("", args[0]);
        Tomcat.addServlet(context, "reader", new Reader());
        context.addServletMappingDecoded("/", "reader");
        tomcat.start();
        tomcat.getServer().await();
    }

    static class Reader extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.setCharacterEncoding("UTF-8");
            response.getWriter().print("tomcat\t" + request.getServletPath() + Objects.requireNonNullElse(request.getPathInfo(), "") + "\n"
                + "servlet, parameters cut first\t" + cutFirst(request.getRequestURI()) + "\n"
                + "servlet, decoded first\t" + decodedFirst(request.getRequestURI()) + "\n");
        }
    }

    /** As Spring's UrlPathHelper: parameters are cut off each segment, then it decodes, and merges slashes. */
    static String cutFirst(String uri) {
        return decode(uri.replaceAll(";[^/]*", "")).replaceAll("/+", "/");
    }

    /** As Shiro before 1.6 (CVE-2020-13933): it decodes, cuts at the first parameter, and resolves dot segments. */
    static String decodedFirst(String uri) {
        String path = decode(uri);
        int parameter = path.indexOf(';');
        path = parameter < 0 ? path : path.substring(0, parameter);
        path = path.replace('\\', '/').replaceAll("/+", "/");
        var segments = new java.util.ArrayDeque<String>();
        for (String segment : path.substring(1).split("/", -1)) {
            if (segment.equals("..")) {
                segments.pollLast();
            } else if (!segment.equals(".")) {
                segments.addLast(segment);
            }
        }
        return "/" + String.join("/", segments);
    }

    static String decode(String text) {
        return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    }
}
