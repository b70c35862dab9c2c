package org.contrastive4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.View;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * Stops a launch at lines and accesses and shows registers: reads one command a line, so that a script can be its
 * input.
 *
 * <p>Tested by {@code PtxRunTest}.
 */
final class Debugger implements Observer {
    private static final String HELP = """
            break LINE | FILE:LINE   stop before an instruction of a line of the PTX text or of the CUDA source
            watch PLACE [BYTES]      stop at an access to these bytes: an address, a parameter that points to them or a
                                     shared variable, each with +OFFSET
            delete                   delete all breakpoints and watches
            step                     execute one instruction of this warp
            continue                 go on until the next breakpoint or watch
            print [REGISTER]         values of a register, or of all, by lane
            where                    the instruction, its line and its threads
            quit                     go on to the end without stopping
            """;

    private static final Pattern PLACE = Pattern.compile("([A-Za-z_0-9$]+)(?:\\+([0-9]{1,9}))?");

    private final BufferedReader commands;
    private final PrintStream out;
    private final Set<String> breakpoints = new LinkedHashSet<>();
    private final Map<String, Watch> watches = new LinkedHashMap<>();
    private @Nullable Warp stepping;
    private boolean stopsNow = true;
    private boolean ended;
    private String line = "";

    /** Bytes whose accesses are reported. */
    private record Watch(boolean shared, long from, long bytes) {}

    Debugger(InputStream commands, PrintStream out) {
        this.commands = new BufferedReader(new InputStreamReader(commands, StandardCharsets.UTF_8));
        this.out = out;
    }

    /** Runs of one cluster after the other, so that commands concern one warp at a time. */
    @Override
    public boolean isSequential() {
        return true;
    }

    @Override
    public void step(Warp warp, Step step, int mask) {
        if (ended) {
            return;
        }
        View view = new View(warp, step, mask);
        boolean breaks = isBreakpoint(warp, step);
        if (stopsNow || warp == stepping || breaks) {
            out.println((breaks ? "breakpoint: " : "") + where(view));
            prompt(view);
        }
    }

    /** A line is entered once: its further instructions are not stops of their own. */
    private boolean isBreakpoint(Warp warp, Step step) {
        String origin = step.source().origin();
        String now = warp.cta().index() + "/" + warp.index() + "/"
                + (origin == null ? step.source().line() : origin);
        boolean entered = !now.equals(line);
        line = now;
        return breakpoints.contains(String.valueOf(step.source().line()))
                || entered && origin != null && breakpoints.contains(origin);
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        if (ended || watches.isEmpty()) {
            return;
        }
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            Region region = access.blocks[lane];
            boolean shared = region.space() == Region.Space.SHARED;
            long from = access.offsets[lane] + (shared ? 0 : region.base());
            for (Map.Entry<String, Watch> watch : watches.entrySet()) {
                Watch range = watch.getValue();
                if (shared == range.shared && from < range.from + range.bytes && range.from < from + access.bytes) {
                    out.println("watch " + watch.getKey() + ": "
                            + access.kind.name().toLowerCase(Locale.ROOT)
                            + " of " + access.bytes + " bytes by thread " + warp.threadOf(lane) + " of block "
                            + warp.cta().index());
                    prompt(new View(warp, step, mask));
                    return;
                }
            }
        }
    }

    private static String where(View view) {
        return view.step().source().where() + " \"" + view.step().source().text() + "\", " + view.threads();
    }

    /** Reads commands until one lets the launch go on. */
    private void prompt(View view) {
        stopsNow = false;
        stepping = null;
        while (true) {
            out.print("(ptx) ");
            out.flush();
            String command = read();
            String[] words = command.strip().split("\\s+");
            switch (words[0]) {
                case "", "help" -> out.print(HELP);
                case "break" -> breakpoints(words);
                case "watch" -> watch(view, words);
                case "delete" -> {
                    breakpoints.clear();
                    watches.clear();
                }
                case "print" -> print(view, words.length > 1 ? words[1] : "");
                case "where" -> out.println(where(view));
                case "step" -> {
                    stepping = view.warp();
                    return;
                }
                case "continue" -> {
                    return;
                }
                case "quit" -> {
                    ended = true;
                    return;
                }
                default -> out.println("there is no command \"" + words[0] + "\"; help lists them");
            }
        }
    }

    private String read() {
        try {
            String command = commands.readLine();
            return command == null ? "quit" : command;
        } catch (IOException e) {
            throw new IllegalStateException("cannot read commands: " + e.getMessage(), e);
        }
    }

    private void breakpoints(String[] words) {
        if (words.length != 2 || !words[1].matches("(.+:)?[0-9]{1,9}")) {
            out.println("expected break LINE or break FILE:LINE");
            return;
        }
        breakpoints.add(words[1]);
        out.println("breakpoint at " + words[1]);
    }

    private void watch(View view, String[] words) {
        Matcher place = PLACE.matcher(words.length > 1 ? words[1] : "");
        if (!place.matches() || words.length > 2 && !words[2].matches("[0-9]{1,9}")) {
            out.println("expected watch PLACE [BYTES], such as watch 0x7f0000000000, watch out+16 or watch tile 128");
            return;
        }
        String name = place.group(1);
        boolean isNumber = Character.isDigit(name.charAt(0));
        long base = isNumber ? Long.decode(name) : view.address(name);
        if (base < 0) {
            out.println("there is no parameter or shared variable " + name);
            return;
        }
        long offset = place.group(2) == null ? 0 : Long.parseLong(place.group(2));
        long bytes = words.length > 2 ? Long.parseLong(words[2]) : 4;
        watches.put(words[1], new Watch(!isNumber && view.isShared(name), base + offset, bytes));
        out.println("watch of " + bytes + " bytes at " + words[1]);
    }

    private void print(View view, String name) {
        var lines = view.registers(name);
        if (lines.isEmpty()) {
            out.println("there is no register " + name);
        }
        lines.forEach(out::println);
    }
}
