/** A file of a Python package index; PJRT plugins travel as shared libraries inside such files. */
export interface Wheel {
  /** File name: package, version and platform in it. */
  readonly file: string;
  /** Name of the package, e.g. `jax-cuda12-pjrt`. */
  readonly package: string;
  readonly version: string;
  /** Systems it is for, e.g. `manylinux_2_27_x86_64`. */
  readonly platforms: readonly string[];
  readonly bytes: number;
  /** Of the file, hexadecimal. */
  readonly sha256: string;
}

/** What a wheel's file name says (PEP 427). */
export function wheelOf(file: string, bytes: number, sha256: string): Wheel {
  const [distribution, version, , , platforms] = file.replace(/\.whl$/, '').split('-');
  return { file, package: distribution.replaceAll('_', '-'), version, platforms: platforms.split('.'), bytes, sha256 };
}

/** Lines of SHA-256, bytes and file name. */
function table(lines: string): readonly Wheel[] {
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [sha256, bytes, file] = line.trim().split(/\s+/);
      return wheelOf(file, Number(bytes), sha256);
    });
}

/** Bytes to download for some wheels. */
export const totalBytes = (wheels: readonly Wheel[]): number => wheels.reduce((sum, { bytes }) => sum + bytes, 0);

/** A size for people, as pip writes it. */
export const sizeText = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;

/** XLA for CPUs. */
export const CPU_WHEELS = table(`
1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1  62711338 lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl
`);

/**
 * XLA for NVIDIA GPUs with CUDA 12 and what it loads. Versions are the newest there were on the day the plugin came out:
 * what its authors' users had.
 */
export const CUDA12_WHEELS = table(`
5ec28e06198d094031c37590b4ea753ae8cde4879ab4b60baf40f0dffb673286 191846358 jax_cuda12_pjrt-0.12.0.1-py3-none-manylinux_2_27_x86_64.whl
5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0  40546229 nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3   3493179 nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4  89568129 nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9  39748338 nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
e4f53a8ca8c5d6e8c492d0d0a3d565ecb59a751b19cfdaa4f6da0ab2104c1702 581240110 nvidia_cublas_cu12-12.9.2.10-py3-none-manylinux_2_27_x86_64.whl
096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f  10814997 nvidia_cuda_cupti_cu12-12.9.79-py3-none-manylinux_2_25_x86_64.whl
bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c 351526311 nvidia_nccl_cu12-2.32.3-py3-none-manylinux_2_27_x86_64.whl
0a4aa3a7d2264256506c6857fc41fc0c499982f78d70195b1cfcc9055c1957cd 766178381 nvidia_cudnn_cu12-9.27.0.42-py3-none-manylinux_2_27_x86_64.whl
e6aa6c58c5420c1bda22db31a2f6c5c1d0a66cb701eeb731feae44fef197717c 185765557 jax_cuda12_pjrt-0.12.0.1-py3-none-manylinux_2_27_aarch64.whl
44e1eca4d08926193a558d2434b1bf83d57b4d5743e0c431c0c83d51da1df62b  39411138 nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
83469a846206f2a733db0c42e223589ab62fd2fabac4432d2f8802de4bded0a4   3515012 nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
096d4de6bda726415dfaf3198d4f5c522b8e70139c97feef5cd2ca6d4cd9cead  44528905 nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
994a05ef08ef4b0b299829cde613a424382aff7efb08a7172c1fa616cc3af2ca  39514880 nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
5572131a59c3eebeeb1c4c8144f772d49372c20124916e072a0e3fc30df421d5 575012079 nvidia_cublas_cu12-12.9.2.10-py3-none-manylinux_2_27_aarch64.whl
791853b030602c6a11d08b5578edfb957cadea06e9d3b26adbf8d036135a4afe  10077166 nvidia_cuda_cupti_cu12-12.9.79-py3-none-manylinux_2_25_aarch64.whl
061af42ae1044816820e16b872075e243d1ac0656f51860fbc8e106c257aa83a 351519937 nvidia_nccl_cu12-2.32.3-py3-none-manylinux_2_27_aarch64.whl
5bc22243563107ea06aa60f9116ad800063d5f4617cc75bc6670d5db78d9f336 772694764 nvidia_cudnn_cu12-9.27.0.42-py3-none-manylinux_2_27_aarch64.whl
`);

/** The same with CUDA 13. */
export const CUDA13_WHEELS = table(`
5899bb6177eda86ea532afb9a26794f2bdd04966f6a01f9028266b16c2b6cf90 134922808 jax_cuda13_pjrt-0.12.0.1-py3-none-manylinux_2_27_x86_64.whl
a1f3bfb27299e060b444d5df1f4bcd762501326cf0fd3141ed61756816ab9a0e  47672022 nvidia_cuda_nvcc-13.4.92-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
e4c81cb321dd9743bcf871c5e7e8fecd7f05dea607944426e102bdda8d49e137  72604627 nvidia_nvvm-13.4.92-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
9641f797da20ce1dd8e779b6e96d08cf9ba564cec8e8225458811ee26423f3a5   2494438 nvidia_cuda_runtime-13.4.92-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
5ce8c97b00b232c4f50c8c4b5a3b68cafee08bdb82ea86f2052ff01d03194f4a  53301733 nvidia_cuda_nvrtc-13.4.92-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
e0391f24ed94ec879b84e3da4d4ec320c879aff681f2c7a638462f7199284323  42452378 nvidia_nvjitlink-13.4.92-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
c11a27fd4379510e5b1f84b367a2514d1e52fe5cc13442117a0e0a1addee3cf2 439315821 nvidia_cublas-13.8.1.7-py3-none-manylinux_2_27_x86_64.whl
037b561575e6983bc4fe1caae644d7a296a8367f451bf6c2a3194f4d0765431c  13058283 nvidia_cuda_cupti-13.4.92-py3-none-manylinux_2_25_x86_64.whl
1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3 305100071 nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_x86_64.whl
9677e76f21862eb5da7ee5ed69d544738b2d8b5c3ce7e5ec125c5592e6cdbdc8 536771498 nvidia_cudnn_cu13-9.27.0.42-py3-none-manylinux_2_27_x86_64.whl
40758d042df8c06991b6a1a8016b56e9cefb1ed4c677c062125c3eb71c3dab97 128847710 jax_cuda13_pjrt-0.12.0.1-py3-none-manylinux_2_27_aarch64.whl
d6fc9f720c3b73b9e526f4c759dbc6581e1a300ba2c8191e3f0ed91c848a92c8  41755976 nvidia_cuda_nvcc-13.4.92-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
6b70f49442461c1b1033e599ff021676ea3d20840be1e7f92e1d6560daf08637  68458634 nvidia_nvvm-13.4.92-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
bef071788589550ab02846fcbc732a2b88c2b16f2cd8a0f45d98e68e8c5fb0c8   2509438 nvidia_cuda_runtime-13.4.92-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
24b9f5eccc6a5a19779038cf468aecb7cecfa8716269beaef5640bd989d21c28  50927348 nvidia_cuda_nvrtc-13.4.92-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
25f74fad0d654271c921ac4dca614bd6258bc21791242fc7b2289dad7ae9c099  40420120 nvidia_nvjitlink-13.4.92-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
803b9974cd7164a481d0b11c25826498d383d0ef0c372573bc6577a344ddf74e 552728945 nvidia_cublas-13.8.1.7-py3-none-manylinux_2_27_aarch64.whl
2358645c4607d4298dbe1d1989621ab246bc2efeb53e413be8eba922839946b1  12853334 nvidia_cuda_cupti-13.4.92-py3-none-manylinux_2_25_aarch64.whl
a5bee92b2f4af218c109f8d221c3c9adcc752b94ae0ffcb0ed5abf9341a7724c 305107282 nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_aarch64.whl
41b3aae756032ed13b1fcac39c79330cfc5434059d0c5251914e0f6ce582c7ea 614353993 nvidia_cudnn_cu13-9.27.0.42-py3-none-manylinux_2_27_aarch64.whl
`);
