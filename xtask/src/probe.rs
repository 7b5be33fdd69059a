//! Lists the Vulkan devices of the drivers in the environment, directly from the loader.
//!
//! A file that names a driver proves little: Mesa installs Intel's and AMD's on machines without such a GPU.
//! Four calls to the loader are enough; they are declared by hand so that xtask needs no dependency and builds in seconds.

/// Prints one device name per line; an error if the loader is missing or no driver answers.
#[cfg(unix)]
pub fn print_devices() -> Result<(), String> {
    for name in loader::device_names()? {
        println!("{name}");
    }
    Ok(())
}

/// On other systems the system's API (Metal, DX12) is used.
#[cfg(not(unix))]
pub fn print_devices() -> Result<(), String> {
    Err("Vulkan drivers are looked for on Unix only".into())
}

#[cfg(unix)]
mod loader {
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::ptr::{null, null_mut};

    unsafe extern "C" {
        fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
        fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    const RTLD_NOW: c_int = 2;

    /// `VkInstanceCreateInfo` of the Vulkan headers.
    #[repr(C)]
    struct InstanceCreateInfo {
        s_type: u32, // VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO = 1
        next: *const c_void,
        flags: u32,
        application: *const c_void,
        layer_count: u32,
        layers: *const c_void,
        extension_count: u32,
        extensions: *const c_void,
    }

    type CreateInstance =
        unsafe extern "C" fn(*const InstanceCreateInfo, *const c_void, *mut *mut c_void) -> i32;
    type EnumerateDevices = unsafe extern "C" fn(*mut c_void, *mut u32, *mut *mut c_void) -> i32;
    type GetProperties = unsafe extern "C" fn(*mut c_void, *mut u8);

    /// Bytes reserved: `VkPhysicalDeviceProperties` takes 824 bytes; the name follows five u32.
    const PROPERTIES_BYTES: usize = 1024;
    const NAME_OFFSET: usize = 20;

    fn function(library: *mut c_void, name: &CStr) -> Result<*mut c_void, String> {
        // SAFETY: `library` is a live handle from dlopen, `name` ends in a zero byte.
        let found = unsafe { dlsym(library, name.as_ptr()) };
        if found.is_null() {
            return Err(format!(
                "the Vulkan loader has no {}",
                name.to_string_lossy()
            ));
        }
        Ok(found)
    }

    pub(super) fn device_names() -> Result<Vec<String>, String> {
        let file = if cfg!(target_os = "macos") {
            c"libvulkan.dylib"
        } else {
            c"libvulkan.so.1"
        };
        // SAFETY: a file name that ends in a zero byte; the library is never closed.
        let library = unsafe { dlopen(file.as_ptr(), RTLD_NOW) };
        if library.is_null() {
            return Err(format!(
                "the Vulkan loader {} is missing",
                file.to_string_lossy()
            ));
        }
        let create = function(library, c"vkCreateInstance")?;
        let enumerate = function(library, c"vkEnumeratePhysicalDevices")?;
        let properties = function(library, c"vkGetPhysicalDeviceProperties")?;
        // SAFETY: the three symbols have these signatures in every Vulkan loader (vulkan_core.h).
        let (create, enumerate, properties) = unsafe {
            (
                std::mem::transmute::<*mut c_void, CreateInstance>(create),
                std::mem::transmute::<*mut c_void, EnumerateDevices>(enumerate),
                std::mem::transmute::<*mut c_void, GetProperties>(properties),
            )
        };
        let info = InstanceCreateInfo {
            s_type: 1,
            next: null(),
            flags: 0,
            application: null(),
            layer_count: 0,
            layers: null(),
            extension_count: 0,
            extensions: null(),
        };
        let mut instance = null_mut();
        // SAFETY: `info` is a valid create info without layers or extensions; the process ends soon after.
        let code = unsafe { create(&info, null(), &mut instance) };
        if code != 0 {
            return Err(format!(
                "no Vulkan driver answers: vkCreateInstance returned {code}"
            ));
        }
        let mut count = 0;
        // SAFETY: a null array asks for the count alone.
        let code = unsafe { enumerate(instance, &mut count, null_mut()) };
        if code != 0 {
            return Err(format!("vkEnumeratePhysicalDevices returned {code}"));
        }
        let mut devices = vec![null_mut(); count as usize];
        // SAFETY: the array has space for `count` handles.
        let code = unsafe { enumerate(instance, &mut count, devices.as_mut_ptr()) };
        if code < 0 {
            return Err(format!("vkEnumeratePhysicalDevices returned {code}"));
        }
        devices.truncate(count as usize);
        Ok(devices
            .into_iter()
            .map(|device| {
                let mut bytes = [0_u64; PROPERTIES_BYTES / 8];
                // SAFETY: the buffer is larger than the structure and aligned to 8 bytes as it asks.
                unsafe { properties(device, bytes.as_mut_ptr().cast()) };
                let bytes: Vec<u8> = bytes.iter().flat_map(|word| word.to_ne_bytes()).collect();
                CStr::from_bytes_until_nul(&bytes[NAME_OFFSET..NAME_OFFSET + 256])
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default()
            })
            .collect())
    }
}
