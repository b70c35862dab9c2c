// out[i] = what the program in constant memory computes from x[i]: a stack of its own per thread, one switch, a
// bounded number of steps.
__constant__ unsigned char program[32] = {
    0, 1, 17, 4, 1, 5, 3, 6, 7, 2, 8, 1, 3, 9, 10, 0, 2, 5, 11, 1, 100, 12, 8, 13, 20, 7, 0, 3, 14, 6, 2, 15,
};

extern "C" __global__ void interpreter(const int* __restrict__ x, int* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    unsigned stack[16];
    for (int j = 0; j < 16; j++) {
        stack[j] = j * (unsigned) x[i];
    }
    int top = 0;
    int at = (i * 7) & 31;
    unsigned value = x[i];
    for (int steps = 0; steps < 200; steps++) {
        int op = program[at & 31] & 15;
        at++;
        unsigned second = stack[(top + 15) & 15];
        switch (op) {
            case 0: top = (top + 1) & 15; stack[top] = value; break;
            case 1: value = program[at++ & 31] - value; break;
            case 2: value ^= second; top = (top + 15) & 15; break;
            case 3: value = value * 31 + second; break;
            case 4: value = value << (second & 7); break;
            case 5: value = (int) value >> (second & 3); break;
            case 6: stack[value & 15] = second + steps; break;
            case 7: if (value & 1) { at += 3; } break;
            case 8: value = stack[value & 15]; break;
            case 9: value = (unsigned) min((int) value, (int) second) - 9; break;
            case 10: value = (unsigned) max((int) value, (int) second) + 10; break;
            case 11: value = ~value; break;
            case 12: value = (int) value / ((int) (second & 15) + 1); break;
            case 13: value = value % 1001u; break;
            case 14: at -= (int) (second & 7); break;
            default: value += second; top = (top + 3) & 15; break;
        }
    }
    unsigned sum = value;
    for (int j = 0; j < 16; j++) {
        sum = sum * 33 + stack[j];
    }
    out[i] = (int) sum;
}
