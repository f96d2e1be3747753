import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Objects;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** Answers with the path that Jetty gives a servlet: its name, a tab, the path. */
public class Main {
    public static void main(String[] args) throws Exception {
        var server = new Server(new java.net.InetSocketAddress("127.77.0.24", 8080));
        var context = new ServletContextHandler();
        context.addServlet(new ServletHolder(new Reader()), "/");
        server.setHandler(context);
        server.start();
    }

    static class Reader extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.setCharacterEncoding("UTF-8");
            response.getWriter().print("jetty\t" + request.getServletPath() + Objects.requireNonNullElse(request.getPathInfo(), "") + "\n");
        }
    }
}
