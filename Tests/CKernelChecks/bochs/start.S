/* From multiboot's 32-bit mode to `check` in 64-bit mode, on the first GiB, mapped as it lies. */
    .section .multiboot, "a"
    .long 0x1BADB002, 0, -0x1BADB002

    .bss
    .balign 4096
pml4:   .skip 4096
pdpt:   .skip 4096
pages:  .skip 4096                      /* of 2 MiB */
    .skip 1 << 20                       /* panels of weights are 66 KiB */
stack:

    .text
    .code32
    .globl start
start:
    movl $stack, %esp
    movl $(pdpt + 3), pml4
    movl $(pages + 3), pdpt
    movl $0x83, %eax
    xorl %ecx, %ecx
1:  movl %eax, pages(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0x40620, %eax                 /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    movl %eax, %cr4
    movl $0xC0000080, %ecx
    rdmsr
    btsl $8, %eax                       /* long mode */
    wrmsr
    movl %cr0, %eax
    andl $~0xC, %eax                    /* no emulation of the FPU, no trap on its first use */
    orl $0x80000022, %eax               /* paging */
    movl %eax, %cr0
    lgdt table
    ljmp $8, $long_mode

    .code64
long_mode:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    call check
    hlt

    .balign 8
descriptors:
    .quad 0, 0x00209A0000000000         /* none, 64-bit code */
table:
    .word . - descriptors - 1
    .long descriptors
    .section .note.GNU-stack, "", @progbits
