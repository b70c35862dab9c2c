package org.contrastive4j.internal.sim;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Program;
import org.contrastive4j.internal.parse.Type;
import org.contrastive4j.internal.parse.Variable;
import org.contrastive4j.internal.sim.exec.Linker;
import org.contrastive4j.internal.sim.exec.Region;

/**
 * A parsed text: its variables have memory, its entries are linked.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
final class SimModule implements PtxModule {
    private final SimDevice device;
    private final String name;
    private final Program program;
    private final List<String> entries;
    private final Map<String, SimKernel> kernels = new LinkedHashMap<>();
    private final Map<String, PtxException> refused = new LinkedHashMap<>();
    private final Map<String, Region> globals = new LinkedHashMap<>();

    SimModule(SimDevice device, String name, Program program) {
        this.device = device;
        this.name = name;
        this.program = program;
        this.entries = program.entries().stream().map(Function::name).toList();
        for (Variable variable : program.variables()) {
            if (variable.space() != Variable.Space.SHARED && !variable.external()) {
                globals.put(variable.name(), initialised(device, variable));
            }
        }
        for (Function entry : program.entries()) {
            try {
                kernels.put(entry.name(), new SimKernel(device, this, entry, Linker.link(program, entry, globals)));
            } catch (PtxException unsupported) {
                refused.put(entry.name(), unsupported);
            }
        }
        if (kernels.isEmpty() && !refused.isEmpty()) {
            throw refused.values().iterator().next();
        }
    }

    /** Module variables begin with their values, or zero. */
    private Region initialised(SimDevice device, Variable variable) {
        Region.Space space = variable.space() == Variable.Space.CONST ? Region.Space.CONST : Region.Space.GLOBAL;
        long most = Math.min(device.limitBytes(), Integer.MAX_VALUE - 8);
        if (variable.bytes() > most) {
            throw new PtxException(
                    name,
                    0,
                    0,
                    "variable " + variable.name() + " has " + variable.bytes() + " bytes, the device " + most);
        }
        Region block = device.memory().allocate((int) variable.bytes(), "variable " + variable.name(), space);
        Arrays.fill(block.data(), (byte) 0);
        block.markWritten(0, block.bytes());
        int n = variable.type().bytes();
        int at = 0;
        for (Operand value : variable.initial() == null ? List.<Operand>of() : variable.initial()) {
            if (at + n > block.bytes()) {
                throw new PtxException(
                        name, 0, 0, "variable " + variable.name() + " has more initial values than elements");
            }
            block.store(at, n, bits(value, variable.type()));
            at += n;
        }
        return block;
    }

    private long bits(Operand value, Type type) {
        if (value instanceof Operand.Int whole) {
            return whole.value();
        }
        if (value instanceof Operand.Real real) {
            return type.bytes() == 8
                    ? Double.doubleToRawLongBits(real.value())
                    : Float.floatToRawIntBits((float) real.value());
        }
        Operand.Symbol symbol = (Operand.Symbol) value;
        if (symbol.variable() == null) {
            return Linker.functionAddress(program, symbol.name());
        }
        Region block = globals.get(symbol.name());
        if (block == null) {
            throw new PtxException(name, 0, 0, "initial value " + symbol + " is not the address of a global variable");
        }
        return block.base() + symbol.offset();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public List<String> kernels() {
        return entries;
    }

    @Override
    public DeviceStorage variable(String variable) {
        Region block = globals.get(variable);
        if (block == null) {
            throw new PtxException(name, 0, 0, "there is no variable " + variable + ", there are " + globals.keySet());
        }
        return new SimStorage(device, block, () -> {});
    }

    @Override
    public Kernel kernel(String entry) {
        SimKernel kernel = kernels.get(entry);
        if (refused.containsKey(entry)) {
            throw refused.get(entry);
        }
        if (kernel == null) {
            throw new PtxException(name, 0, 0, "there is no entry " + entry + ", there are " + kernels());
        }
        return kernel;
    }
}
